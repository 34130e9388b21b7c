#include "gateway/client/millrace_client.h"

#include "core/crash_point.h"
#include "gateway/client/open_roles.h"
#include "gateway/ingress_check.h"
#include "gateway/reason_mend.h"
#include "gateway/signal_gate.h"
#include "shm/doorbell.h"
#include "shm/segment.h"

#include <pthread.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>

namespace mr = millrace;

/// What a strategy holds. One thread at a time.
struct mr_client {
    mr::Segment segment;
    mr::OpenRole role;
    mr::RingProducer<mr::SignalSlot> signals;
    mr::RingConsumer<mr::ResultSlot> results;
    mr::Doorbell* engine_bell = nullptr;
    mr::Doorbell* own_bell = nullptr;
    mr::SourceId source;
    mr::Clock clock;
    std::string path;
    struct stat file{};           // of the segment that is mapped
    std::int64_t checked_ns = 0;  // last look whether it still lies at `path`
    unsigned forks = 0;           // of this process at open
};

namespace {

constexpr std::int64_t kCheckEveryNs = 1'000'000'000;
constexpr int kWaitMsMax = 60'000;
constexpr std::int64_t kYear2000Ns = 946'684'800'000'000'000;

thread_local char t_error[512] = "";

[[gnu::format(printf, 2, 3)]] int fail(int code, const char* format, ...) noexcept {
    std::va_list args;
    va_start(args, format);
    std::vsnprintf(t_error, sizeof t_error, format, args);
    va_end(args);
    return code;
}

// Counts how often this process is a child of fork(), so that a client knows it was copied.
std::atomic<unsigned> g_forks{0};
void count_fork() {
    g_forks.fetch_add(1, std::memory_order_relaxed);
}
void start_process() {
    static std::once_flag once;
    std::call_once(once, [] {
        mr::doorbell_setup();
        ::pthread_atfork(nullptr, nullptr, count_fork);
    });
}

/// What every call begins with. Relaxed: fork() itself orders the child behind the count.
int usable(const mr_client* c) noexcept {
    if (c == nullptr) {
        return fail(MR_BAD_CALL, "the client is NULL: mr_open() first");
    }
    if (c->forks != g_forks.load(std::memory_order_relaxed)) {
        return fail(MR_FORKED, "this client belongs to the parent process: mr_open() after fork()");
    }
    return MR_OK;
}

bool same_file(const struct stat& a, const struct stat& b) noexcept {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int check_segment(mr_client* c) noexcept {
    struct stat now{};
    if (::stat(c->path.c_str(), &now) != 0 || !same_file(now, c->file)) {
        return fail(MR_GONE, "segment %s was removed or replaced: close the client and open again",
                    c->path.c_str());
    }
    return MR_OK;
}

/// check_segment(), at most once a second: submitting into a segment that nobody reads any more
/// must not look like success for ever.
int check_now_and_then(mr_client* c, std::int64_t now_ns) noexcept {
    if (now_ns - c->checked_ns < kCheckEveryNs) {
        return MR_OK;
    }
    c->checked_ns = now_ns;
    return check_segment(c);
}

int code_of(mr::Errc code) noexcept {
    switch (code) {
        case mr::Errc::NotFound: return MR_UNKNOWN;
        case mr::Errc::OtherBoot: return MR_GONE;
        case mr::Errc::BadMagic:
        case mr::Errc::BadVersion:
        case mr::Errc::BadLayout:
        case mr::Errc::BadChecksum:
        case mr::Errc::BadCursor: return MR_BAD_SEGMENT;
        default: return MR_SYSTEM;
    }
}

/// Maps the file that lies at `path` and remembers which one that is.
int map_segment(const char* path, mr_client& c) {
    std::string message;
    c.path = path;
    struct stat before{};
    ::stat(path, &before);
    auto segment = mr::Segment::attach(path, mr::Segment::Mode::ReadWrite, message);
    if (!segment) {
        return fail(code_of(segment.code()), "%s", message.c_str());
    }
    c.segment = std::move(segment).value();
    if (::stat(path, &c.file) != 0 || !same_file(before, c.file)) {
        return fail(MR_GONE, "segment %s was replaced while it was opened: open again", path);
    }
    if (!c.segment.same_boot()) {
        return fail(MR_GONE, "segment %s is of another boot or host: start Millrace first", path);
    }
    c.clock = c.segment.clock();
    return MR_OK;
}

std::string configured_strategies(const mr::Segment& segment) {
    std::string names;
    for (std::uint32_t i = 0; i < segment.ring_count(); ++i) {
        const mr::RingEntry& e = segment.ring_entry(i);
        const std::string_view name = mr::view(e.name);
        if (e.kind == mr::RingKind::Signals && e.owner_id != mr::kNoId) {
            names += (names.empty() ? "" : ", ") + std::string{name.substr(name.find('.') + 1)};
        }
    }
    return names.empty() ? "none" : names;
}

/// The rings' numbers in the directory.
struct RingPair {
    std::uint32_t signals = mr::kNoId;
    std::uint32_t results = mr::kNoId;
};

int find_rings(const mr_client& c, const std::string& strategy, RingPair& pair) {
    pair.signals = c.segment.find_ring("signals." + strategy);
    pair.results = c.segment.find_ring("results." + strategy);
    if (pair.signals == mr::kNoId || pair.results == mr::kNoId ||
        c.segment.ring_entry(pair.signals).owner_id == mr::kNoId) {
        return fail(
            MR_UNKNOWN,
            "strategy \"%s\" is not among \"strategies\" of the configuration; there are: %s",
            strategy.c_str(), configured_strategies(c.segment).c_str());
    }
    return MR_OK;
}

int attach_rings(mr_client& c, const RingPair& pair, const std::string& strategy) {
    std::string damage;
    if (!c.segment.check_ring(pair.signals, damage) ||
        !c.segment.check_ring(pair.results, damage)) {
        return fail(MR_BAD_SEGMENT, "%s: restart Millrace on a new segment", damage.c_str());
    }
    auto signals =
        mr::RingProducer<mr::SignalSlot>::attach(c.segment.ring<mr::SignalSlot>(pair.signals));
    auto results =
        mr::RingConsumer<mr::ResultSlot>::attach(c.segment.ring<mr::ResultSlot>(pair.results));
    if (!signals || !results) {
        return fail(MR_BAD_SEGMENT,
                    "ring %s.%s contradicts itself (cursor against slots); restart Millrace on a "
                    "new segment",
                    signals ? "results" : "signals", strategy.c_str());
    }
    c.signals = std::move(signals).value();
    c.results = std::move(results).value();
    c.source = mr::SourceId{c.segment.ring_entry(pair.signals).owner_id};
    c.engine_bell = &c.segment.doorbell(c.segment.ring_entry(pair.signals).doorbell);
    c.own_bell = &c.segment.doorbell(c.segment.ring_entry(pair.results).doorbell);
    // Relaxed: one writer, the role's owner; for inspectors.
    c.segment.ring_control(pair.signals)
        .producer_generation.fetch_add(1, std::memory_order_relaxed);
    c.segment.ring_control(pair.results)
        .consumer_generation.fetch_add(1, std::memory_order_relaxed);
    return MR_OK;
}

int take_role(mr_client& c, const std::string& strategy) {
    const auto& h = c.segment.header();
    const std::string dir{h.journal_dir, ::strnlen(h.journal_dir, sizeof h.journal_dir)};
    std::string holder;
    auto role = mr::OpenRole::take(dir, "signals." + strategy, holder);
    if (role) {
        c.role = std::move(role).value();
        return MR_OK;
    }
    if (role.code() == mr::Errc::NotOwner) {
        return fail(MR_BUSY, "strategy \"%s\" is open already, by %s: stop that one first",
                    strategy.c_str(), holder.c_str());
    }
    return fail(MR_SYSTEM, "strategy \"%s\": %s in %s/locks: %s", strategy.c_str(),
                role.error().what, dir.c_str(), std::strerror(role.error().sys_errno));
}

int open_client(const char* path, const char* strategy, mr_client** client) {
    start_process();
    auto c = std::make_unique<mr_client>();
    c->forks = g_forks.load(std::memory_order_relaxed);
    RingPair pair;
    if (const int code = map_segment(path, *c); code != MR_OK) {
        return code;
    }
    if (const int code = find_rings(*c, strategy, pair); code != MR_OK) {
        return code;
    }
    // The role before the rings: only its owner may look for the write cursor.
    if (const int code = take_role(*c, strategy); code != MR_OK) {
        return code;
    }
    if (const int code = attach_rings(*c, pair, strategy); code != MR_OK) {
        return code;
    }
    *client = c.release();
    return MR_OK;
}

int lookup(mr_client* c, const mr::NameEntry (&table)[mr::kNamesPerKind], const char* kind,
           const char* name, uint32_t* id) noexcept {
    if (name == nullptr || id == nullptr) {
        return fail(MR_BAD_CALL, "%s look-up: name and id must not be NULL", kind);
    }
    const std::size_t bytes = ::strnlen(name, 17);
    const std::uint32_t found =
        bytes > 16 ? mr::kNoId : mr::find_name(table, mr::make_text<16>({name, bytes}));
    if (found == mr::kNoId) {
        return fail(MR_UNKNOWN, "%s \"%.32s\" is not in the configuration of %s", kind, name,
                    c->path.c_str());
    }
    *id = found;
    return MR_OK;
}

mr::Signal to_signal(const mr_client& c, const mr_signal& from, mr::Nanos now) noexcept {
    mr::Signal s;
    s.id = {from.id.hi, from.id.lo};
    s.target = {from.target.hi, from.target.lo};
    s.source = c.source;
    s.group = mr::GroupId{from.group};
    s.symbol = mr::SymbolId{from.symbol};
    s.action = static_cast<mr::SignalAction>(from.action);
    s.side = static_cast<mr::Side>(from.side);
    s.price_kind = static_cast<mr::PriceKind>(from.price_kind);
    s.flags = from.flags;
    s.volume = mr::Lots{from.volume};
    s.price = mr::Price{from.price};
    s.stop_loss = mr::Price{from.stop_loss};
    s.take_profit = mr::Price{from.take_profit};
    s.reference_price = mr::Price{from.reference_price};
    s.send_time = from.send_time_ns == 0 ? now : mr::Nanos{from.send_time_ns};
    s.ttl_ms = from.ttl_ms;
    s.edge_time = now;
    return s;
}

bool is_defined(const mr::NameEntry (&table)[mr::kNamesPerKind], std::uint32_t id) noexcept {
    // Acquire: pairs with the engine's release after it wrote the entry.
    return id < mr::kNamesPerKind && table[id].ready.load(std::memory_order_acquire) != 0;
}

int check(const mr_client& c, const mr::Signal& s, mr::Nanos now) noexcept {
    mr::Refusal why;
    // Too old to be new, by the last of the checks. The engine may know it all the same, and
    // answers how it stands; a stamp from before 2000 is in another unit.
    const auto is_asked = [&] {
        return why.reason == mr::Reason::StaleSignal && s.send_time.value >= kYear2000Ns;
    };
    if (!mr::check_signal(s, now, why) && !is_asked()) {
        return fail(MR_BAD_SIGNAL, "%s", why.text);
    }
    const mr::NameTables& names = c.segment.names();
    if (!is_defined(names.groups, s.group.value)) {
        return fail(MR_UNKNOWN, "group id %u is not defined: use mr_lookup_group()", s.group.value);
    }
    if (!is_defined(names.symbols, s.symbol.value)) {
        return fail(MR_UNKNOWN, "symbol id %u is not defined: use mr_lookup_symbol()",
                    s.symbol.value);
    }
    return MR_OK;
}

/// Whether the engine takes such a signal now.
int check_gate(mr_client* c, mr::SignalAction action) noexcept {
    const mr::SignalGate gate{c->segment.core()};
    const bool takes = gate.takes(action);
    if (takes && gate.writes()) {
        return MR_OK;
    }
    // It may be a segment that was left behind: then nothing in it runs.
    const int gone = check_segment(c);
    return gone != MR_OK || takes ? gone : fail(MR_JOURNAL, "%s", gate.refusal());
}

// mr_result is SignalResult in C's words.
static_assert(sizeof(mr_result) == sizeof(mr::SignalResult));
static_assert(offsetof(mr_result, kind) == offsetof(mr::SignalResult, kind));
static_assert(offsetof(mr_result, reason) == offsetof(mr::SignalResult, reason));
static_assert(offsetof(mr_result, signal) == offsetof(mr::SignalResult, signal));
static_assert(offsetof(mr_result, account) == offsetof(mr::SignalResult, account));
static_assert(offsetof(mr_result, cum_volume) == offsetof(mr::SignalResult, cum_volume));
static_assert(offsetof(mr_result, retcode) == offsetof(mr::SignalResult, retcode));
static_assert(offsetof(mr_result, rejected) == offsetof(mr::SignalResult, rejected));
static_assert(offsetof(mr_result, original_seq) == offsetof(mr::SignalResult, original));
static_assert(offsetof(mr_result, magic) == offsetof(mr::SignalResult, magic));
static_assert(offsetof(mr_result, edge_time_ns) == offsetof(mr::SignalResult, edge_time));
static_assert(MR_OPEN == static_cast<int>(mr::SignalAction::Open));
static_assert(MR_CANCEL == static_cast<int>(mr::SignalAction::Cancel));
static_assert(MR_WORKING == static_cast<int>(mr::ResultKind::OrderWorking));
static_assert(MR_SCALE == mr::kScale);

}  // namespace

extern "C" {

int mr_open(const char* segment_path, const char* strategy, mr_client** client) {
    if (segment_path == nullptr || strategy == nullptr || client == nullptr) {
        return fail(MR_BAD_CALL, "mr_open: path, strategy and client must not be NULL");
    }
    // The one place where our code may throw (strings, mapping); nothing crosses the C boundary.
    try {
        return open_client(segment_path, strategy, client);
    } catch (const std::exception& e) {
        return fail(MR_SYSTEM, "mr_open of %s: %s", segment_path, e.what());
    }
}

void mr_close(mr_client* client) {
    delete client;
}

int mr_lookup_group(mr_client* client, const char* name, uint32_t* id) {
    const int code = usable(client);
    return code != MR_OK ? code : lookup(client, client->segment.names().groups, "group", name, id);
}

int mr_lookup_symbol(mr_client* client, const char* name, uint32_t* id) {
    const int code = usable(client);
    return code != MR_OK ? code
                         : lookup(client, client->segment.names().symbols, "symbol", name, id);
}

int mr_submit(mr_client* client, const mr_signal* signal) {
    if (const int code = usable(client); code != MR_OK) {
        return code;
    }
    if (signal == nullptr) {
        return fail(MR_BAD_CALL, "mr_submit: the signal must not be NULL");
    }
    const mr::Nanos now = client->clock.now();
    mr::Signal s = to_signal(*client, *signal, now);
    if (const int code = check(*client, s, now); code != MR_OK) {
        return code;
    }
    if (const int code = check_gate(client, s.action); code != MR_OK) {
        return code;
    }
    if (const int code = check_now_and_then(client, now.value); code != MR_OK) {
        return code;
    }
    mr::SignalSlot* slot = client->signals.claim();
    if (slot == nullptr) {
        const int gone = check_segment(client);
        return gone != MR_OK ? gone
                             : fail(MR_FULL,
                                    "the signals ring is full (the engine lags): submit "
                                    "again in a moment");
    }
    mr::clamp_send_time(s, now);
    *slot = mr::SignalSlot{s};
    MILLRACE_CRASH_POINT("client.before_commit");
    client->signals.commit();
    MILLRACE_CRASH_POINT("client.after_commit");
    mr::ring(*client->engine_bell);
    client->signals.publish_stats(now.value);
    return MR_OK;
}

int mr_poll_results(mr_client* client, mr_result_handler handle, void* user, int max) {
    if (const int code = usable(client); code != MR_OK) {
        return code;
    }
    if (handle == nullptr) {
        return fail(MR_BAD_CALL, "mr_poll_results: the handler must not be NULL");
    }
    int done = 0;
    for (; done < max; ++done) {
        const mr::ResultSlot* slot = client->results.peek();
        if (slot == nullptr) {
            break;
        }
        mr_result result;
        std::memcpy(&result, &slot->value, sizeof result);
        handle(&result, user);
        client->results.advance();
        MILLRACE_CRASH_POINT("client.before_release");
        // One by one: a crash repeats at most the one whose handler had not returned.
        client->results.release();
    }
    return done;
}

int mr_wait(mr_client* client, int timeout_ms) {
    if (const int code = usable(client); code != MR_OK) {
        return code;
    }
    const auto idle = [client] { return client->results.peek() == nullptr; };
    const std::int64_t wait_ms = std::clamp(timeout_ms, 0, kWaitMsMax);
    const std::int64_t until = mr::monotonic_ns() + wait_ms * 1'000'000;
    // A needless wake (a late ring, a signal handler) goes round again; the deadline bounds it.
    while (idle()) {
        const std::int64_t left = until - mr::monotonic_ns();
        if (left <= 0) {
            const int code = check_segment(client);
            return code != MR_OK ? code : 0;
        }
        mr::doorbell_wait(*client->own_bell, mr::Nanos{left}, idle);
    }
    return 1;
}

int mr_tick(mr_client* client, uint32_t symbol, mr_quote* quote) {
    if (const int code = usable(client); code != MR_OK) {
        return code;
    }
    if (quote == nullptr) {
        return fail(MR_BAD_CALL, "mr_tick: the quote must not be NULL");
    }
    if (!is_defined(client->segment.names().symbols, symbol)) {
        return fail(MR_UNKNOWN, "symbol id %u is not defined: use mr_lookup_symbol()", symbol);
    }
    const mr::Quote q = client->segment.tick(mr::SymbolId{symbol}).load();
    if (q.bid.value == 0) {
        return fail(MR_NO_PRICE, "symbol id %u has no price now", symbol);
    }
    *quote = {q.bid.value, q.ask.value, q.time.value};
    return MR_OK;
}

int64_t mr_now(const mr_client* client) {
    return client == nullptr ? 0 : client->clock.now().value;
}

int mr_check(mr_client* client) {
    const int code = usable(client);
    return code != MR_OK ? code : check_segment(client);
}

const char* mr_error_text(void) {
    return t_error;
}

const char* mr_reason_text(uint16_t reason) {
    return mr::to_string(static_cast<mr::Reason>(reason)).data();  // literals: terminated
}

const char* mr_reason_mend(uint16_t reason) {
    const std::string_view mend = mr::reason_mend(static_cast<mr::Reason>(reason));
    return mend.empty() ? "" : mend.data();
}

}  // extern "C"
