#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "tools/inspect/host.h"
#include "tools/inspect/rings.h"
#include "tools/inspect/verify.h"
#include "tools/inspect/view.h"

namespace millrace::inspect {
namespace {

template <class Atomic>
auto get(const Atomic& cell) noexcept {
    // Relaxed: compared with margins for what moves meanwhile.
    return cell.load(std::memory_order_relaxed);
}

struct Extent {
    std::string name;
    std::uint64_t at = 0;
    std::uint64_t bytes = 0;
};

std::vector<Extent> extents_of(const Segment& s) {
    const SegmentHeader& h = s.header();
    std::vector<Extent> all{
        {"header", 0, sizeof(SegmentHeader)},
        {"core cells", h.core_offset, sizeof(CoreCells)},
        {"doorbells", h.doorbells_offset, sizeof(Doorbell) * std::uint64_t{h.doorbell_count}},
        {"stage table", h.stages_offset, sizeof(StageEntry) * std::uint64_t{h.stage_count}},
        {"session table", h.sessions_offset, sizeof(SessionEntry) * std::uint64_t{h.session_count}},
        {"name tables", h.names_offset, sizeof(NameTables)},
        {"tick table", h.ticks_offset, sizeof(TickCell) * kSymbolsMax},
        {"latency histograms", h.hops_offset, sizeof(Histogram) * kHops},
        {"error log", h.errors_offset, sizeof(ErrorEntry) * kErrors},
        {"hash checks", h.hashes_offset, sizeof(HashCheck) * kHashChecks},
        {"ring directories", h.rings_offset, 2 * sizeof(RingEntry) * std::uint64_t{h.ring_count}}};
    for (std::uint32_t i = 0; i < s.ring_count(); ++i) {
        const RingEntry& e = s.ring_entry(i);
        const std::string name{view(e.name)};
        all.push_back({"control of " + name, e.control_offset, sizeof(RingControl<>)});
        all.push_back(
            {"slots of " + name, e.slots_offset, std::uint64_t{e.capacity} * e.slot_bytes});
    }
    std::sort(all.begin(), all.end(), [](const Extent& a, const Extent& b) { return a.at < b.at; });
    return all;
}

void check_extents(const Segment& s, Checks& checks) {
    const std::vector<Extent> all = extents_of(s);
    std::string fault;
    for (std::size_t i = 1; i < all.size() && fault.empty(); ++i) {
        if (all[i - 1].at + all[i - 1].bytes > all[i].at) {
            fault = all[i - 1].name + " reaches into " + all[i].name;
        }
    }
    checks.add("tables", fmt::format("{} tables and rings, none overlaps", all.size()), fault);
}

void check_directory(const Segment& s, Checks& checks) {
    std::set<std::string> names;
    std::string fault;
    for (std::uint32_t i = 0; i < s.ring_count() && fault.empty(); ++i) {
        const std::string name{view(s.ring_entry(i).name)};
        if (name.empty() || !names.insert(name).second) {
            fault = fmt::format("ring {} has {}", i, name.empty() ? "no name" : "another's name");
        }
    }
    for (const char* needed : {"admin", "reports", "orders", "journal"}) {
        if (fault.empty() && names.count(needed) == 0) {
            fault = std::string{"no ring "} + needed;
        }
    }
    checks.add("ring directory", fmt::format("{} rings, named apart", s.ring_count()), fault);
}

void check_rings(const Segment& s, Checks& checks) {
    std::uint64_t records = 0;
    std::uint64_t slots = 0;
    bool sound = true;
    for (std::uint32_t i = 0; i < s.ring_count(); ++i) {
        const SlotCensus c = count_slots(s, i);
        records += c.ready + c.released;
        slots += c.capacity;
        if (c.sound()) {
            continue;
        }
        sound = false;
        const std::string name = "ring " + std::string{view(s.ring_entry(i).name)};
        checks.broken(name, !c.fault.empty()
                                ? fmt::format("read cursor {}: {}", c.read, c.fault)
                                : fmt::format("torn {} duplicates {} gaps {}, first: {}", c.torn,
                                              c.duplicates, c.gaps, c.where));
    }
    if (sound) {
        checks.holds("rings", fmt::format("read <= written <= read + capacity, {} slots with {} "
                                          "records: none torn, doubled or missing",
                                          slots, records));
    }
}

/// The journal ring knows the last record better than its cell, which trails by one apply().
std::uint64_t last_sequence(const Segment& s) {
    std::uint64_t last = get(s.core().journal_seq);
    const std::uint32_t index = s.find_ring("journal");
    if (index == kNoId || s.ring_entry(index).kind != RingKind::Journal) {
        return last;
    }
    const auto ring = s.ring<JournalRecord>(index);
    const auto at = read_cursors(ring);
    JournalRecord record;
    if (at && at.value().written != 0 && copy_record(ring, at.value().written, record)) {
        last = std::max(last, record.seq.value);
    }
    return last;
}

void check_core(const Segment& s, Checks& checks) {
    const CoreCells& c = s.core();
    // Followers first, leaders last. Acquire: pairs with the release of each; what it follows stood
    // at least there. A replica that starts has said nothing yet (0): then only what is durable
    // stands behind a snapshot.
    const auto follower = [](const AtomicU64& cell) {
        return cell.load(std::memory_order_acquire);
    };
    const std::uint64_t snapshot = follower(c.snapshot_seq);
    const std::uint64_t replica = follower(c.replica_applied);
    const struct {
        const char* name;
        std::uint64_t value;
    } chain[] = {{"snapshot", snapshot},
                 {replica == 0 ? "snapshot" : "replica", replica == 0 ? snapshot : replica},
                 {"durable", follower(c.durable)},
                 {"journal", last_sequence(s)}};
    std::string fault;
    for (std::size_t i = 1; i < std::size(chain) && fault.empty(); ++i) {
        if (chain[i - 1].value > chain[i].value) {
            fault = fmt::format("{} is at {}, beyond {} at {}", chain[i - 1].name,
                                chain[i - 1].value, chain[i].name, chain[i].value);
        }
    }
    checks.add("cursors",
               fmt::format("snapshot {} <= replica {} <= durable {} <= journal {}", snapshot,
                           replica == 0 ? "(not known)" : std::to_string(replica), chain[2].value,
                           chain[3].value),
               fault);
    const std::uint64_t completed = follower(c.completed);
    const std::uint64_t last = last_sequence(s);
    checks.add(
        "completed", fmt::format("{} of {}", completed, last),
        completed > last ? fmt::format("{} is beyond the journal's {}", completed, last) : "");
    const std::uint64_t next = get(c.next_intent);
    const std::uint64_t reserved_intent = get(c.reserved_intent);
    const std::uint64_t reserved_seq = get(c.reserved_seq);
    fault = next > reserved_intent
                ? fmt::format("intent ids up to {} handed out, only those below {} reserved", next,
                              reserved_intent)
            : reserved_seq != 0 && last >= reserved_seq
                ? fmt::format("sequence {} used, only those below {} reserved", last, reserved_seq)
                : "";
    checks.add(
        "reservations",
        fmt::format("sequence {} < {}, intent {} <= {}", last, reserved_seq, next, reserved_intent),
        fault);
    const std::uint64_t mismatch = get(c.replica_hash_mismatch);
    checks.add("determinism",
               fmt::format("no state hash differed up to {}", get(c.replica_hash_checked)),
               mismatch == 0 ? "" : fmt::format("engine and replica differ from {} on", mismatch));
    const auto state = get(c.journal_state);
    if (state > static_cast<std::uint32_t>(JournalState::Running)) {
        checks.broken("journal", std::string{"is "} + journal_state_name(state));
    }
}

void check_sessions(const Segment& s, Checks& checks) {
    std::uint32_t used = 0;
    std::string fault;
    for (std::uint32_t i = 0; i < s.sessions(); ++i) {
        const SessionEntry& e = s.session(AccountId{i});
        used += get(e.login) != 0 ? 1 : 0;
        // Acquire, both: pairs with the release of each in the broker stage, which stores `claimed`
        // before them.
        const std::uint64_t acked = e.acked.load(std::memory_order_acquire);
        const std::uint64_t done = e.done.load(std::memory_order_acquire);
        const std::uint64_t claimed = get(e.claimed);
        if (fault.empty() && (done > claimed || acked > claimed)) {
            fault = fmt::format("account {}: done {} acked {} beyond claimed {}", i, done, acked,
                                claimed);
        }
        const bool queue = e.queue_ring < s.ring_count() &&
                           s.ring_entry(e.queue_ring).kind == RingKind::Session &&
                           s.ring_entry(e.queue_ring).owner_id == i;
        if (fault.empty() && (e.account.value != i || !queue)) {
            fault = fmt::format("account {}: entry names account {} and ring {}", i,
                                e.account.value, e.queue_ring);
        }
    }
    checks.add("accounts",
               fmt::format("{} of {} used, done and acked <= claimed", used, s.sessions()), fault);
}

void check_stages(const Segment& s, Checks& checks) {
    const PipelineView v = read_view(s);
    std::uint32_t alive = 0;
    std::string fault;
    for (const StageStat& stage : v.stages) {
        if (stage.state > static_cast<std::uint32_t>(StageState::Halted)) {
            fault = fmt::format("{} is in state {}, which does not exist", stage.name, stage.state);
        }
        if (!lives(stage.liveness) || stage.name == "supervisor") {
            continue;
        }
        ++alive;
        if (stage.liveness == Liveness::Elsewhere) {
            continue;  // the table has its pid there, the kernel tells the one it has here
        }
        const int holder = lock_holder(v.header.journal_dir, stage.name);
        if (holder > 0 && holder != static_cast<int>(stage.pid)) {
            checks.note("role " + stage.name,
                        fmt::format("pid {} plays it, pid {} holds its lock", stage.pid, holder));
        }
    }
    checks.add("stages", fmt::format("{} alive", alive), fault);
}

/// Values of a histogram by its total and by its buckets.
struct Counted {
    std::uint64_t total = 0;
    std::uint64_t in_buckets = 0;
};
Counted count_values(const Histogram& h) {
    // Both are relaxed stores of one thread: a machine that reorders them can show a value of this
    // moment in the total first. What is missing for good is missing in each look.
    constexpr int kTries = 4;
    Counted c;
    for (int i = 0; i < kTries && (i == 0 || c.total > c.in_buckets); ++i) {
        c = {get(h.total), 0};
        // Acquire: the total is loaded before the buckets.
        std::atomic_thread_fence(std::memory_order_acquire);
        for (const auto& b : h.buckets) {
            c.in_buckets += get(b);
        }
    }
    return c;
}

void check_histograms(const Segment& s, Checks& checks) {
    std::string fault;
    std::uint64_t values = 0;
    for (std::uint32_t i = 0; i < kHops; ++i) {
        const Histogram& h = s.hop(static_cast<Hop>(i));
        // A value is in its bucket before it is in the total: one may be on its way, or lost with
        // a writer that was killed in between, once for each owner.
        const auto [total, sum] = count_values(h);
        values += total;
        if (total > sum && fault.empty()) {
            fault = fmt::format("{}: {} values counted, {} in buckets", hop_name(i), total, sum);
        }
    }
    checks.add("histograms", fmt::format("{} values, all in buckets", values), fault);
}

void check_ticks(const Segment& s, Checks& checks) {
    std::uint32_t priced = 0;
    std::string fault;
    for (std::uint32_t i = 0; i < kSymbolsMax; ++i) {
        const Quote q = s.tick(SymbolId{i}).load();
        priced += q.bid.value != 0 ? 1 : 0;
        if (fault.empty() && (q.bid.value < 0 || (q.ask.value != 0 && q.ask < q.bid))) {
            fault = fmt::format("symbol {}: bid {} above ask {}", i, q.bid.value, q.ask.value);
        }
        // Relaxed: odd for good is a writer that died inside; its heir heals it.
        if ((get(s.tick(SymbolId{i}).version) & 1U) != 0 && q.bid.value == 0) {
            checks.note("tick", fmt::format("symbol {} is being written, or its writer died", i));
        }
    }
    checks.add("ticks", fmt::format("{} symbols have a price", priced), fault);
}

void check_errors(const Segment& s, Checks& checks) {
    std::uint32_t distinct = 0;
    std::string fault;
    for (std::uint32_t i = 0; i < kErrors; ++i) {
        const ErrorEntry& e = s.error(i);
        if (get(e.hash) == 0) {
            continue;
        }
        ++distinct;
        if ((get(e.hash) & 1U) == 0) {
            checks.note("error log",
                        fmt::format("entry {} is being written, or its writer died", i));
        }
        if (get(e.first_ns) > get(e.last_ns) && get(e.last_ns) != 0) {
            fault = fmt::format("entry {} was last seen before it was first seen", i);
        }
    }
    if (distinct == kErrors) {
        checks.note("error log", "is full: further distinct errors are not kept");
    }
    checks.add("error log", fmt::format("{} of {} entries", distinct, kErrors), fault);
}

void check_names(const Segment& s, Checks& checks) {
    const NameTables& t = s.names();
    std::uint32_t named = 0;
    const auto look = [&](const NameEntry(&table)[kNamesPerKind], const char* what) {
        for (std::uint32_t i = 0; i < kNamesPerKind; ++i) {
            if (get(table[i].ready) != 0) {
                ++named;
                if (view(table[i].name).empty()) {
                    checks.note("names", fmt::format("{} {} has none", what, i));
                }
            }
        }
    };
    look(t.symbols, "symbol");
    look(t.groups, "group");
    look(t.sources, "source");
    checks.holds("names", fmt::format("{} symbols, groups and sources", named));
}

}  // namespace

std::size_t Checks::count(Finding f) const {
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [f](const Check& c) { return c.finding == f; }));
}

void verify_segment(const Segment& s, Checks& checks) {
    checks.holds("header", fmt::format("magic, layout {}, schema {:016x}, {} bytes",
                                       s.header().layout_version, s.header().schema_hash,
                                       s.header().total_bytes));
    if (!s.same_boot()) {
        checks.note("boot", "the segment is of another boot: its pids and clocks mean nothing now");
    }
    check_extents(s, checks);
    check_directory(s, checks);
    check_rings(s, checks);
    check_core(s, checks);
    check_sessions(s, checks);
    check_stages(s, checks);
    check_histograms(s, checks);
    check_ticks(s, checks);
    check_names(s, checks);
    check_errors(s, checks);
}

}  // namespace millrace::inspect
