#include "tools/ticks/recorder_thread.h"

#include "shm/clock.h"

#include <chrono>

namespace millrace {
namespace {

constexpr std::uint32_t kEvents = 1U << 16U;
constexpr std::uint32_t kRequests = 256;
/// Room that ticks leave for what must not be passed over.
constexpr std::uint64_t kReserve = 8'192;
constexpr std::uint32_t kMore = 1;
constexpr std::uint32_t kFromStart = 2;

}  // namespace

template <class Slot>
RecorderThread::Lane<Slot>::Lane(std::uint32_t capacity)
    : control{}, slots{new RingSlot<Slot>[capacity] {}} {
    control.magic = kRingMagic;
    control.slot_bytes = sizeof(RingSlot<Slot>);
    control.capacity = capacity;
    const RingView<Slot> view{&control, slots.get()};
    in = RingProducer<Slot>::attach(view).value();
    out = RingConsumer<Slot>::attach(view).value();
}

RecorderThread::RecorderThread(std::unique_ptr<ticklog::Recorder> recorder, Told told,
                               std::function<void()> on_fatal)
    : recorder_{std::move(recorder)},
      told_{std::move(told)},
      on_fatal_{std::move(on_fatal)},
      events_{kEvents},
      requests_{kRequests},
      thread_{[this] { run(); }} {}

RecorderThread::~RecorderThread() {
    // Relaxed: the join orders everything.
    stop_.store(true, std::memory_order_relaxed);
    thread_.join();
}

bool RecorderThread::publish(const Event& event, std::uint64_t reserve) noexcept {
    if (reserve != 0 && events_.in.free_slots() <= reserve) {
        ++passed_over_;
        return false;
    }
    return events_.in.try_publish(EventSlot{event}).ok();
}

/// What the record cannot do without. With the ring full to the last slot the sources' next
/// connection, to the next process, tells all of it anew.
void RecorderThread::publish_or_end(const Event& event) noexcept {
    if (!publish(event, 0)) {
        told_("ALERT the recorder is too far behind; starting again");
        on_fatal_();
    }
}

void RecorderThread::on_feed(std::uint64_t feed, bool up) {
    Event e;
    e.kind = up ? Kind::FeedUp : Kind::FeedDown;
    e.tick.feed = feed;
    publish_or_end(e);
}

void RecorderThread::on_symbol(const FeedSymbol& s) {
    Event e;
    e.kind = Kind::Symbol;
    e.tick = {s.feed, s.symbol, s.seq, s.time, Price{}, Price{}, 0};
    e.stream = s.stream;
    e.count = s.count;
    publish_or_end(e);
}

void RecorderThread::on_tick(const FeedTick& tick) {
    Event e;
    e.kind = Kind::Tick;
    e.tick = tick;
    static_cast<void>(publish(e, kReserve));
}

void RecorderThread::on_history(std::uint64_t request, const FeedTick& tick) {
    Event e;
    e.kind = Kind::History;
    e.tick = tick;
    e.request = request;
    if (!publish(e, kReserve)) {
        broken_request_ = request;
    }
}

void RecorderThread::on_history_end(std::uint64_t request, bool more, bool from_start) {
    if (broken_request_ == request) {
        broken_request_ = 0;  // without an end it is asked for again
        return;
    }
    Event e;
    e.kind = Kind::HistoryEnd;
    e.request = request;
    e.flags = (more ? kMore : 0U) | (from_start ? kFromStart : 0U);
    if (!publish(e, kReserve)) {
        return;  // the same
    }
}

void RecorderThread::ask_next(TickServer& server) noexcept {
    requests_.out.poll(kRequests, [&server](const RequestSlot& slot) {
        // A source that is gone or does not read is asked again when it is back, or later.
        static_cast<void>(server.ask(slot.value));
    });
}

void RecorderThread::handle(const Event& e) {
    const ticklog::SeriesKey key{e.tick.feed, e.tick.symbol};
    const ticklog::LogTick tick{e.tick.seq, e.tick.time, e.tick.bid, e.tick.ask};
    switch (e.kind) {
        case Kind::FeedUp:
            feeds_.insert(e.tick.feed);
            recorder_->feed_up(e.tick.feed);
            break;
        case Kind::FeedDown:
            feeds_.erase(e.tick.feed);
            recorder_->feed_down(e.tick.feed);
            break;
        case Kind::Symbol:
            recorder_->announce(key, {e.stream, e.tick.seq, e.tick.time, e.count});
            break;
        case Kind::Tick: recorder_->tick(key, tick, e.tick.same); break;
        case Kind::History: recorder_->answer(e.request, {&tick, 1}); break;
        case Kind::HistoryEnd:
            recorder_->answer_end(e.request, (e.flags & kMore) != 0, (e.flags & kFromStart) != 0);
            break;
    }
}

/// Writes what is due and asks for what is missing.
void RecorderThread::keep_up() {
    const Nanos wall{wall_ns()};
    const Status written = recorder_->step(wall);
    if (written.code() == Errc::Poisoned) {
        told_(std::string{"ALERT "} + written.error().what + "; starting again");
        on_fatal_();
    }
    if (!written != disk_fails_) {
        disk_fails_ = !written;
        told_(disk_fails_ ? std::string{"ALERT ticks are not recorded: "} + written.error().what +
                                "; they are kept in memory for a while, then back-filled"
                          : std::string{"ticks are recorded again"});
    }
    for (const std::uint64_t feed : feeds_) {
        const auto want = recorder_->next_request(feed, wall);
        if (want) {
            const FeedRequest ask{want->series.feed, want->gap, want->series.symbol,
                                  want->from,        want->to,  want->limit};
            static_cast<void>(requests_.in.try_publish(RequestSlot{ask}));
        }
    }
}

void RecorderThread::run() {
    constexpr std::size_t kBatch = 1'024;
    const auto handle_slot = [this](const EventSlot& slot) { handle(slot.value); };
    // Relaxed: see the destructor.
    while (!stop_.load(std::memory_order_relaxed)) {
        const std::size_t done = events_.out.poll(kBatch, handle_slot);
        keep_up();
        if (done == 0) {
            // Nobody waits for the record: a nap costs less than a bell.
            std::this_thread::sleep_for(std::chrono::milliseconds{2});
        }
    }
    while (events_.out.poll(kBatch, handle_slot) != 0) {
    }
    static_cast<void>(recorder_->flush(Nanos{wall_ns()}));
}

}  // namespace millrace
