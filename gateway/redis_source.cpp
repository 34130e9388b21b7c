#include "gateway/redis_source.h"

#include <algorithm>
#include <charconv>

#include "shm/doorbell.h"

namespace millrace {
namespace {

constexpr int kResultsPerStep = 512;
constexpr Nanos kBusyPark = millis(1);   // acks are under way
constexpr Nanos kIdlePark = millis(10);  // nothing is: Redis rings no bell of ours

bool is_ack(ResultKind kind) noexcept {
    return kind == ResultKind::Accepted || kind == ResultKind::Duplicate ||
           kind == ResultKind::Refused;
}

/// When Redis took the entry, by its own clock: the signal's age while we were away counts.
std::int64_t stamp_of(const std::string& entry_id) noexcept {
    std::int64_t ms = 0;
    (void)std::from_chars(entry_id.data(), entry_id.data() + entry_id.size(), ms);
    std::int64_t ns = 0;
    return __builtin_mul_overflow(ms, 1'000'000, &ns) ? 0 : ns;
}

}  // namespace

RedisSource::RedisSource(Segment& segment, std::unique_ptr<SignalStream> stream,
                         RedisSourceOptions options)
    : segment_{segment},
      stream_{std::move(stream)},
      options_{std::move(options)},
      parked_{std::size_t{options_.in_flight_max} * 2} {}

Result<std::unique_ptr<RedisSource>> RedisSource::create(Segment& segment,
                                                         std::unique_ptr<SignalStream> stream,
                                                         RedisSourceOptions options,
                                                         std::string& message) {
    std::unique_ptr<RedisSource> made{
        new RedisSource{segment, std::move(stream), std::move(options)}};
    if (Status attached = made->attach(message); !attached) {
        return attached.error();
    }
    return made;
}

Status RedisSource::attach(std::string& message) {
    const std::uint32_t in = segment_.find_ring("signals." + options_.source);
    const std::uint32_t out = segment_.find_ring("results." + options_.source);
    if (in == kNoId || out == kNoId) {
        message = "the segment has no rings for source \"" + options_.source +
                  "\"; stop and start the pipeline to make them";
        return {Errc::BadInput, "redis source"};
    }
    if (std::string damage; !segment_.check_ring(in, damage) || !segment_.check_ring(out, damage)) {
        message = "source \"" + options_.source + "\": " + damage + "; stop clean and start again";
        return {Errc::BadCursor, "redis source"};
    }
    auto producer = RingProducer<SignalSlot>::attach(segment_.ring<SignalSlot>(in));
    auto consumer = RingConsumer<ResultSlot>::attach(segment_.ring<ResultSlot>(out));
    if (!producer || !consumer) {
        message = "a ring of source \"" + options_.source +
                  "\" contradicts itself; recover on a new segment";
        return {Errc::BadCursor, "redis source"};
    }
    signals_ = std::move(producer).value();
    results_ = std::move(consumer).value();
    engine_bell_ = &segment_.doorbell(segment_.ring_entry(in).doorbell);
    // Each has one writer, the role's owner; relaxed: for inspectors.
    segment_.ring_control(in).producer_generation.fetch_add(1, std::memory_order_relaxed);
    segment_.ring_control(out).consumer_generation.fetch_add(1, std::memory_order_relaxed);
    return ok_status();
}

int RedisSource::step(Nanos now) noexcept {
    now_ = now;
    // Results are taken whatever Redis does: a full results ring would stop the source's entries.
    int work = take_results();
    if (stream_->is_open() || (now >= retry_at_ && reopen(now))) {
        const bool ours = now - kept_ < options_.pause_max || keep_up(now);
        if (ours && acknowledge()) {
            work += hand_over(now);
            work += waiting_.empty() ? read() : 0;
            (void)keep_up(now);
        }
    }
    resting_ = work == 0;
    return work;
}

Nanos RedisSource::park_limit(Nanos now) const noexcept {
    if (!stream_->is_open() && now < retry_at_) {
        return std::min(retry_at_ - now, millis(50));
    }
    return in_flight_.empty() && waiting_.empty() ? kIdlePark : kBusyPark;
}

// ---- results -----------------------------------------------------------------------------------

int RedisSource::take_results() noexcept {
    int work = 0;
    while (work < kResultsPerStep && !parked_.full()) {
        const ResultSlot* slot = results_.peek();
        if (slot == nullptr) {
            break;
        }
        if (is_ack(slot->value.kind)) {
            parked_.push(slot->value);  // what became of its orders is in RTRS
        }
        results_.advance();
        ++work;
    }
    if (work > 0) {
        results_.release();
    }
    // Acquire: pairs with the journal stage's release of `durable`.
    const Sequence durable{options_.ack == AckLevel::Disk
                               ? segment_.core().durable.load(std::memory_order_acquire)
                               : UINT64_MAX};
    while (const SignalResult* ack = parked_.ready(durable)) {
        finish(ack->signal);
        parked_.pop();
    }
    return work;
}

void RedisSource::finish(const SignalId& signal) noexcept {
    const auto it = in_flight_.find(signal);
    if (it == in_flight_.end()) {
        return;  // of an earlier process: its entry is read again and ends as a repeat
    }
    const std::vector<std::string>& entries = it->second.entries;
    ready_.insert(ready_.end(), entries.begin(), entries.end());
    in_flight_.erase(it);
}

bool RedisSource::acknowledge() noexcept {
    if (ready_.empty()) {
        return true;
    }
    if (auto done = stream_->acknowledge(ready_); !done) {
        ready_.clear();  // they come again, and end as repeats
        return fail(done);
    }
    auto& cell = segment_.core().rtss_acked;
    // Relaxed: one writer, read by inspectors.
    cell.store(cell.load(std::memory_order_relaxed) + ready_.size(), std::memory_order_relaxed);
    ready_.clear();
    return true;
}

// ---- signals -----------------------------------------------------------------------------------

bool RedisSource::reopen(Nanos now) noexcept {
    if (auto opened = stream_->open(); !opened) {
        return fail(opened);
    }
    // Whatever was read and has no ack is given again by read().
    waiting_.clear();
    held_.clear();
    held_ids_.clear();
    if (SignalGate{segment_.core()}.writes()) {
        in_flight_.clear();
    } else {  // what the engine has already is not handed over again, see submit()
        for (auto& [id, flight] : in_flight_) {
            flight.entries.clear();
        }
    }
    failing_ = false;
    retry_wait_ = {};
    upkeep_at_ = kept_ = now;
    return true;
}

bool RedisSource::engine_knows_names() const noexcept {
    // Acquire: pairs with the engine's release after it has named what its state knows: in a new
    // segment no name is known yet, and an entry refused for that is refused for good.
    return segment_.core().config_hash.load(std::memory_order_acquire) != 0;
}

int RedisSource::read() noexcept {
    const bool takes_any = SignalGate{segment_.core()}.takes_any() && engine_knows_names();
    if (!takes_any || in_flight_.size() >= options_.in_flight_max ||
        held_.size() >= options_.held_max) {
        return 0;  // what is not read stays where it is
    }
    const auto room = static_cast<std::uint32_t>(options_.in_flight_max - in_flight_.size());
    fresh_.clear();
    if (auto got = stream_->read(std::min(room, options_.read_max), Nanos{0}, fresh_); !got) {
        fail(got);
        return 0;
    }
    std::move(fresh_.begin(), fresh_.end(), std::back_inserter(waiting_));
    return hand_over(now_);
}

int RedisSource::hand_over(Nanos now) noexcept {
    const std::uint64_t before = signals_.written();
    int work = 0;
    while (engine_knows_names()) {
        const SignalGate gate{segment_.core()};
        if (gate.takes(SignalAction::Open)) {
            release_held();
        }
        if (!gate.takes_any() || waiting_.empty()) {
            break;
        }
        const Submitted done = submit(waiting_.front(), gate, now);
        if (done == Submitted::NotNow) {
            break;
        }
        if (done == Submitted::Held) {
            held_.push_back(std::move(waiting_.front()));
        }
        waiting_.pop_front();
        ++work;
    }
    if (signals_.written() != before) {
        ring(*engine_bell_);
    }
    return work;
}

/// The journal writes again: they go first, as they were read.
void RedisSource::release_held() noexcept {
    if (held_.empty()) {
        return;
    }
    std::move(waiting_.begin(), waiting_.end(), std::back_inserter(held_));
    waiting_ = std::move(held_);
    held_.clear();
    held_ids_.clear();
}

/// An entry that the gate does not take, or what follows one: the engine would not know its target.
bool RedisSource::is_held(const Signal& signal, const SignalGate& gate) const noexcept {
    return !gate.takes(signal.action) || held_ids_.contains(signal.target);
}

/// @return whether the entry is acknowledged with what is in flight already, and not handed over.
bool RedisSource::joins(const SignalId& signal, const std::string& entry, const SignalGate& gate,
                        Nanos now) noexcept {
    const auto known = in_flight_.find(signal);
    if (known == in_flight_.end()) {
        return false;
    }
    std::vector<std::string>& entries = known->second.entries;
    if (!gate.writes()) {
        // Its ack waits for the disk, and a repeat would take a slot of a journal ring that nobody
        // empties.
        entries.push_back(entry);
        return true;
    }
    // A member that takes over what has lain for long is given its own as well. Not for ever, or
    // one whose answer was lost would never be acknowledged.
    const bool own = std::find(entries.begin(), entries.end(), entry) != entries.end();
    return own && now - known->second.since < options_.again_after;
}

/// @return NotNow if it is to be tried again: the ring is full, or Redis failed.
RedisSource::Submitted RedisSource::submit(const SignalStream::Entry& entry, const SignalGate& gate,
                                           Nanos now) noexcept {
    if (entry.fields.empty()) {
        ready_.push_back(entry.id);  // trimmed by somebody else while it was in the list
        return Submitted::Done;
    }
    Refusal why;
    signal_wire::Submit submit;
    Signal signal;
    if (!parse_signal(entry.fields, stamp_of(entry.id), submit, why) ||
        !resolve_signal(submit, segment_.names(), now, signal, why)) {
        if (auto refused = stream_->refuse(entry, why.text); !refused) {
            (void)fail(refused);
            return Submitted::NotNow;
        }
        count(segment_.core().rtss_refused);
        segment_.report_error("rtss", std::string{"an entry was refused: "} + why.text);
        return Submitted::Done;
    }
    if (is_held(signal, gate)) {
        held_ids_.insert(signal.id);
        return Submitted::Held;
    }
    if (joins(signal.id, entry.id, gate, now)) {
        return Submitted::Done;
    }
    SignalSlot* slot = signals_.claim();
    if (slot == nullptr) {
        return Submitted::NotNow;
    }
    (void)clamp_send_time(signal, now);
    signal.source = options_.id;
    InFlight& flight = in_flight_[signal.id];
    flight.entries.push_back(entry.id);
    flight.since = now;
    *slot = SignalSlot{signal};
    signals_.commit();
    count(segment_.core().rtss_taken);
    return Submitted::Done;
}

// ---- upkeep ------------------------------------------------------------------------------------

bool RedisSource::keep_up(Nanos now) noexcept {
    if (now < upkeep_at_ || !stream_->is_open()) {
        return true;
    }
    upkeep_at_ = now + options_.upkeep_every;
    signals_.publish_stats(now.value);
    if (auto kept = stream_->upkeep(); !kept) {
        return fail(kept);
    }
    kept_ = now;
    // While the disk is waited for, what has lain for so long may be our own.
    if (!SignalGate{segment_.core()}.takes(SignalAction::Open) || !engine_knows_names() ||
        !waiting_.empty()) {
        return true;
    }
    fresh_.clear();
    if (auto claimed = stream_->claim(options_.read_max, options_.claim_after, fresh_); !claimed) {
        return fail(claimed);
    }
    std::move(fresh_.begin(), fresh_.end(), std::back_inserter(waiting_));
    return true;
}

bool RedisSource::fail(const Status& status) noexcept {
    count(segment_.core().rtss_errors);
    segment_.report_error("rtss",
                          stream_->message() + " [" + std::string{to_string(status.code())} + "]");
    stream_->close();
    failing_ = true;
    retry_wait_ = std::clamp(retry_wait_ + retry_wait_, options_.retry_min, options_.retry_max);
    retry_at_ = now_ + retry_wait_;
    return false;
}

void RedisSource::count(AtomicU64& cell) noexcept {
    // Relaxed: one writer, read by inspectors.
    cell.store(cell.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace millrace
