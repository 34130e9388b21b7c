// The picture as text.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include "core/admin.h"
#include "tools/inspect/details.h"
#include "tools/inspect/page.h"
#include "tools/inspect/span.h"

namespace millrace::inspect {
namespace {

constexpr std::int64_t kStuckNs = 3'000'000'000;  // DESIGN rule 5: no progress for 3 s
constexpr std::uint64_t kNearlyFullPercent = 80;

std::string per_second(std::optional<double> rate) {
    return rate ? human_count(static_cast<std::uint64_t>(std::llround(*rate))) + "/s" : "-";
}

std::uint64_t percent(const RingStat& r) noexcept {
    return r.capacity == 0 ? 0 : r.depth() * 100 / r.capacity;
}

// ---- header and cursors ------------------------------------------------------------------------

void add_header(Page& page, const Span& span, const RenderOptions& o) {
    const HeaderStat& h = span.now.header;
    page.add(fmt::format("millrace {}  {:.1f} MiB{}{}  layout {}{}", o.title,
                         static_cast<double>(h.total_bytes) / (1 << 20),
                         h.locked ? "  locked at creation" : "", h.huge_pages ? "  huge pages" : "",
                         h.layout_version, h.same_boot ? "" : "  FROM ANOTHER BOOT"),
             h.same_boot ? Mood::Head : Mood::Warn);
}

void add_identity(Page& page, const HeaderStat& h) {
    page.add(fmt::format("created {} by pid {} uid {}  magic {}  schema {:016x}",
                         wall_text(h.created_ns), h.creator_pid, h.creator_uid, h.magic,
                         h.schema_hash));
    page.add(fmt::format("uuid {}  boot {}", h.uuid, h.boot_id));
    page.add(fmt::format("journal directory {}", h.journal_dir));
}

void add_journal(Page& page, const Span& span) {
    const CoreStat& c = span.now.core;
    const CoreStat* p = span.before == nullptr ? nullptr : &span.before->core;
    const bool bad = c.journal_state != static_cast<std::uint32_t>(JournalState::Running);
    page.add(fmt::format("journal {} {} epoch {}  seq {} ({})  durable -{}  {}B",
                         journal_state_name(c.journal_state),
                         journal_backend_name(c.journal_backend), c.epoch, c.journal_seq,
                         per_second(span.rate(c.journal_seq, p ? p->journal_seq : 0)),
                         c.durable_lag(), human_count(c.journal_bytes)),
             bad ? Mood::Bad : Mood::Plain);
    const std::string hash = c.replica_hash_mismatch != 0
                                 ? fmt::format("HASH DIFFERS AT {}", c.replica_hash_mismatch)
                                 : fmt::format("hash ok to {}", c.replica_hash_checked);
    const auto sink = [](const char* name, std::uint64_t lag, std::uint64_t errors) {
        return fmt::format("  {} -{}{}", name, lag,
                           errors == 0 ? "" : fmt::format("  ERRORS {}", errors));
    };
    const std::string replica =
        c.replica_known() ? fmt::format("-{}", c.replica_lag()) : std::string{"-?"};
    page.add(
        fmt::format("replica {}  {}  snapshot {}  effects {}{}{}", replica, hash, c.snapshot_seq,
                    human_count(c.effects_written), sink("sqlite", c.sqlite_lag(), c.sqlite_errors),
                    c.has_redis() ? sink("redis", c.redis_lag(), c.redis_errors) : ""),
        c.replica_hash_mismatch != 0            ? Mood::Bad
        : c.sqlite_errors + c.redis_errors != 0 ? Mood::Warn
                                                : Mood::Plain);
}

void add_flow(Page& page, const Span& span) {
    const CoreStat& c = span.now.core;
    const CoreStat* p = span.before == nullptr ? nullptr : &span.before->core;
    const auto with_rate = [&](std::uint64_t n, std::uint64_t earlier) {
        const auto rate = span.rate(n, earlier);
        return rate ? fmt::format("{} ({})", n, per_second(rate)) : std::to_string(n);
    };
    page.add(fmt::format("signals {}  refused {}  orders {}  filled {}",
                         with_rate(c.signals_accepted, p ? p->signals_accepted : 0),
                         c.entries_refused, with_rate(c.orders_sent, p ? p->orders_sent : 0),
                         with_rate(c.orders_filled, p ? p->orders_filled : 0)));
    // ClickHouse here: the line of the other sinks is full at 80 columns.
    page.add(fmt::format("rejected {}  live {}  positions {}  in doubt {}{}{}", c.orders_rejected,
                         c.live_orders, c.open_positions, c.in_doubt,
                         c.stop_requested != 0 ? "  STOP REQUESTED" : "",
                         c.has_clickhouse() ? fmt::format("  clickhouse -{}{}", c.clickhouse_lag(),
                                                          c.clickhouse_errors != 0 ? " ERRORS" : "")
                                            : ""),
             c.in_doubt + c.clickhouse_errors != 0 ? Mood::Warn : Mood::Plain);
}

// ---- tables ------------------------------------------------------------------------------------

Mood stage_mood(const StageStat& s) noexcept {
    const auto state = static_cast<StageState>(s.state);
    const bool should_live = state != StageState::Empty && state != StageState::Stopped;
    if (state == StageState::Halted || state == StageState::Dead ||
        (should_live && s.liveness == Liveness::Gone)) {
        return Mood::Bad;
    }
    return should_live && s.heartbeat_age_ns > kStuckNs ? Mood::Warn : Mood::Plain;
}

Page stage_table(const Span& span, const RenderOptions& o) {
    Page page{o.width};
    page.add(fmt::format("{:<10} {:<10} {:>7} {:<10} {:>3} {:>3} {:>6} {:>7} {:>3} {:>8}", "STAGE",
                         "STATE", "PID", "PROCESS", "CPU", "GEN", "BEAT",
                         span.before != nullptr ? "WORK/S" : "WORK", "RST", "RECOVERY"),
             Mood::Head);
    for (std::size_t i = 0; i < span.now.stages.size(); ++i) {
        const StageStat& s = span.now.stages[i];
        if (s.pid == 0 && s.state == 0 && !o.all) {
            continue;
        }
        const std::uint64_t earlier = span.before ? span.before->stages[i].work : 0;
        const std::string cpu = s.cpu == kNoId || s.pid == 0 ? "-" : std::to_string(s.cpu);
        const std::string work =
            span.before ? per_second(span.rate(s.work, earlier)) : human_count(s.work);
        page.add(
            fmt::format("{:<10} {:<10} {:>7} {:<10} {:>3} {:>3} {:>6} {:>7} {:>3} {:>8}", s.name,
                        state_name(s.state), s.pid, liveness_name(s.liveness), cpu, s.generation,
                        human_ns(s.heartbeat_age_ns), work, s.restarts, human_ns(s.recovery_ns)),
            stage_mood(s));
    }
    return page;
}

std::string eta_full(const RingRates& rates) {
    return rates.full_in_ns == 0 ? "FULL" : human_ns(rates.full_in_ns);
}

void add_ring(Page& page, const Span& span, std::size_t index, unsigned width) {
    const RingStat& r = span.now.rings[index];
    if (!r.fault.empty()) {
        page.add(fmt::format("{:<18} FAULT at read cursor {}: {}", r.name, r.read, r.fault),
                 Mood::Bad);
        return;
    }
    const RingRates rates = ring_rates(span, index);
    // On a narrow screen a long name gives way to the last column; a report shows it whole.
    const std::size_t name_max = width < 100 ? 16 : 64;
    // Ever-growing counts are for people: the last column must stay on 80 columns for years.
    page.add(fmt::format("{:<16.{}} {:>6} {:>5} {:>6} {:>3}% {:>6} {:>6} {:>7} {:>7} {:>7}", r.name,
                         name_max, r.capacity, human_count(r.written), r.depth(), percent(r),
                         r.high_water, human_count(r.full_stalls), per_second(rates.in),
                         per_second(rates.out), eta_full(rates)),
             percent(r) >= kNearlyFullPercent ? Mood::Bad
             : r.full_stalls != 0             ? Mood::Warn
                                              : Mood::Plain);
}

/// Rows in the segment's order, or what needs a look first (for a screen that has no room for all).
enum class Order { AsStored, WorstFirst };

/// Sort key: greatest first.
std::tuple<bool, double, std::uint64_t> key_of(const Span& span, std::size_t i, RingOrder order) {
    const RingStat& r = span.now.rings[i];
    const std::uint64_t before = span.before ? span.before->rings[i].written : 0;
    const double rate = span.before ? span.rate(r.written, before).value_or(0) : 0;
    switch (order) {
        case RingOrder::Busiest: return {!r.fault.empty(), rate, r.written};
        case RingOrder::Stalls: return {!r.fault.empty(), 0, r.full_stalls};
        case RingOrder::Fullest:
        case RingOrder::Name: break;
    }
    return {!r.fault.empty(), static_cast<double>(percent(r)), r.depth()};
}

void sort_rings(const Span& span, RingOrder order, std::vector<std::size_t>& shown) {
    std::stable_sort(shown.begin(), shown.end(), [&](std::size_t a, std::size_t b) {
        if (order == RingOrder::Name) {
            return span.now.rings[a].name < span.now.rings[b].name;
        }
        return key_of(span, a, order) > key_of(span, b, order);
    });
}

std::vector<std::size_t> rings_of(const Span& span, const RenderOptions& o) {
    std::vector<std::size_t> shown;
    for (std::size_t i = 0; i < span.now.rings.size(); ++i) {
        if (o.all || !span.now.rings[i].unused) {
            shown.push_back(i);
        }
    }
    return shown;
}

void add_ring_head(Page& page, std::size_t rings) {
    page.add(fmt::format("{:<16} {:>6} {:>5} {:>6} {:>4} {:>6} {:>6} {:>7} {:>7} {:>7}",
                         fmt::format("RINGS {}", rings), "SLOTS", "WROTE", "DEPTH", "", "HIGH",
                         "STALLS", "IN/S", "OUT/S", "FULL IN"),
             Mood::Head);
}

Page ring_table(const Span& span, const RenderOptions& o, Order order) {
    std::vector<std::size_t> shown = rings_of(span, o);
    if (order == Order::WorstFirst) {
        sort_rings(span, o.ring_order, shown);
    }
    Page page{o.width};
    add_ring_head(page, shown.size());
    for (const std::size_t i : shown) {
        add_ring(page, span, i, o.width);
    }
    return page;
}

std::string account_label(const SessionStat& s, const RenderOptions& o) {
    return s.account < o.account_names.size() && !o.account_names[s.account].empty()
               ? o.account_names[s.account]
               : std::to_string(s.login);
}

Mood session_mood(const SessionStat& s) noexcept {
    if (s.killed != 0 || s.link == static_cast<std::uint32_t>(LinkState::AuthRejected)) {
        return Mood::Bad;
    }
    const bool fine = s.link == static_cast<std::uint32_t>(LinkState::Up) &&
                      s.state == static_cast<std::uint32_t>(AccountState::Trading);
    return fine ? Mood::Plain : Mood::Warn;
}

/// What keeps commands from going out stands first: a narrow column cuts the rest.
std::string session_state(const SessionStat& s) {
    return fmt::format("{}{}{}", s.killed != 0 ? "KILL " : "", s.busy ? "BUSY " : "",
                       to_string(static_cast<AccountState>(s.state)));
}

/// A session's generation is at least its epoch times 2^20 (gateway/session_link.cpp): the epoch
/// and what was added since, a login each.
std::string generation_text(std::uint64_t generation) {
    constexpr unsigned kBits = 20;
    const std::uint64_t epoch = generation >> kBits;
    const std::uint64_t logins = generation & ((std::uint64_t{1} << kBits) - 1);
    return epoch == 0 ? human_count(logins)
                      : fmt::format("{}.{}", human_count(epoch), human_count(logins));
}

void add_session(Page& page, const SessionStat& s, const RenderOptions& o) {
    const std::size_t state_max = o.width < 100 ? 13 : 64;
    page.add(
        fmt::format("{:<12.12} {:<13} {:<13.{}} {:>5} {:>5} {:>5} {:>6} {:>5} {:>6}",
                    account_label(s, o), to_string(static_cast<LinkState>(s.link)),
                    session_state(s), state_max, human_count(s.done),
                    human_count(s.claimed > s.done ? s.claimed - s.done : 0),
                    human_count(s.done > s.acked ? s.done - s.acked : 0),
                    generation_text(s.generation), human_count(s.fills), human_ns(s.heard_age_ns)),
        session_mood(s));
}

Page session_table(const Span& span, const RenderOptions& o, Order order) {
    std::vector<const SessionStat*> shown;
    for (const SessionStat& s : span.now.sessions) {
        shown.push_back(&s);
    }
    if (order == Order::WorstFirst) {
        std::stable_sort(shown.begin(), shown.end(), [](const auto* a, const auto* b) {
            return session_mood(*a) > session_mood(*b);
        });
    }
    Page page{o.width};
    page.add(fmt::format("{:<12} {:<13} {:<13} {:>5} {:>5} {:>5} {:>6} {:>5} {:>6}",
                         fmt::format("ACCOUNTS {}", shown.size()), "LINK", "STATE", "SENT", "DOUBT",
                         "UNACK", "GEN", "FILLS", "HEARD"),
             Mood::Head);
    for (const SessionStat* s : shown) {
        add_session(page, *s, o);
    }
    return page;
}

/// @param recent what to show of the hops that ever counted anything; nullptr: their whole life.
Page hop_table(const Span& span, const RenderOptions& o, Order order, const RecentStat* recent) {
    std::vector<const HopStat*> shown;
    for (std::size_t i = 0; i < span.now.hops.size(); ++i) {
        if (span.now.hops[i].count != 0 || o.all) {
            shown.push_back(recent != nullptr ? &recent->hops[i] : &span.now.hops[i]);
        }
    }
    if (order == Order::WorstFirst) {
        std::stable_sort(shown.begin(), shown.end(),
                         [](const auto* a, const auto* b) { return a->p99 > b->p99; });
    }
    Page page{o.width};
    const std::string reach =
        recent != nullptr ? "last " + human_ns(recent->window.value) : std::string{"since start"};
    page.add(fmt::format("{:<17} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8}", "HOP  " + reach, "COUNT",
                         "P50", "P90", "P99", "P99.9", "MAX"),
             Mood::Head);
    for (const HopStat* h : shown) {
        const auto t = [h](std::uint64_t ns) {
            return human_ns(h->count == 0 ? -1 : static_cast<std::int64_t>(ns));
        };
        page.add(fmt::format("{:<17} {:>7} {:>8} {:>8} {:>8} {:>8} {:>8}", h->name,
                             human_count(h->count), t(h->p50), t(h->p90), t(h->p99), t(h->p999),
                             t(h->max)));
    }
    return page;
}

Page error_table(const Span& span, const RenderOptions& o) {
    Page page{o.width};
    page.add(fmt::format("{:<10} {:>7} {:<20}  {}", "ERRORS OF", "COUNT", "LAST", "TEXT"),
             Mood::Head);
    for (const ErrorRecord& e : span.now.errors) {
        page.add(fmt::format("{:<10} {:>7} {:<20}  {}", e.stage, human_count(e.count),
                             wall_text(e.last_ns), e.text),
                 Mood::Warn);
    }
    return page;
}

/// Appends a table if it has rows and room for its title and one of them.
void append_table(Page& page, const Page& table, std::size_t height, std::size_t rows_max) {
    const std::size_t room = height > page.size() ? height - page.size() : 0;
    if (table.size() > 1 && room > 1) {
        page.append(table, std::min(room, rows_max + 1));
    }
}

}  // namespace

std::string render_stat(const PipelineView& view, const PipelineView* previous, Nanos elapsed,
                        const RenderOptions& options) {
    const Span span = make_span(view, previous, elapsed);
    Page page{options.width};
    add_header(page, span, options);
    add_identity(page, view.header);
    add_journal(page, span);
    add_flow(page, span);
    for (const Page& table :
         {stage_table(span, options), ring_table(span, options, Order::AsStored),
          session_table(span, options, Order::AsStored),
          hop_table(span, options, Order::AsStored, nullptr), error_table(span, options)}) {
        if (table.size() > 1) {
            page.blank();
            page.append(table, table.size());
        }
    }
    if (view.looked_closer) {
        page.blank();
        add_details(page, view, options);
    }
    return page.text(options.color);
}

std::string render_top(const PipelineView& view, const PipelineView* previous, Nanos elapsed,
                       const RenderOptions& options) {
    const Span span = make_span(view, previous, elapsed);
    Page page{options.width};
    add_header(page, span, options);
    add_journal(page, span);
    add_flow(page, span);
    const std::size_t height = options.height;
    append_table(page, stage_table(span, options), height, kStages);
    append_table(page, error_table(span, options), height, 1);
    // 24 lines hold all stages, an error, the worst ring and two hops, and accounts as far as
    // stages are missing; more lines are shared out.
    constexpr std::size_t kLeast = 2 + 3 + 2;
    const std::size_t room = height > page.size() ? height - page.size() : 0;
    const std::size_t share = room > kLeast ? (room - kLeast) / 3 : 0;
    append_table(page, ring_table(span, options, Order::WorstFirst), height, 1 + share);
    const RecentStat* recent = view.recent ? &*view.recent : nullptr;
    append_table(page, hop_table(span, options, Order::WorstFirst, recent), height, 2 + share);
    append_table(page, session_table(span, options, Order::WorstFirst), height, height);
    Page cut{options.width};
    cut.append(page, std::max<std::size_t>(height, 1));
    return cut.text(options.color);
}

std::vector<std::string> sorted_rings(const PipelineView& view, const PipelineView* previous,
                                      Nanos elapsed, const RenderOptions& options) {
    const Span span = make_span(view, previous, elapsed);
    std::vector<std::size_t> shown = rings_of(span, options);
    sort_rings(span, options.ring_order, shown);
    std::vector<std::string> names;
    for (const std::size_t i : shown) {
        names.push_back(view.rings[i].name);
    }
    return names;
}

std::string render_rings(const PipelineView& view, const PipelineView* previous, Nanos elapsed,
                         const RenderOptions& options, std::size_t selected) {
    const Span span = make_span(view, previous, elapsed);
    std::vector<std::size_t> shown = rings_of(span, options);
    sort_rings(span, options.ring_order, shown);
    Page page{options.width};
    add_header(page, span, options);
    add_ring_head(page, shown.size());
    const std::size_t room = options.height > page.size() ? options.height - page.size() : 1;
    // The window moves only as far as it must to show the selected line.
    const std::size_t first = selected >= room ? selected - room + 1 : 0;
    for (std::size_t i = first; i < std::min(shown.size(), first + room); ++i) {
        add_ring(page, span, shown[i], options.width);
        if (i == selected) {
            page.mark_last();
        }
    }
    return page.text(options.color);
}

}  // namespace millrace::inspect
