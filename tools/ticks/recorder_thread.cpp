#include "tools/ticks/recorder_thread.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace millrace {
namespace {

constexpr std::uint32_t kRequests = 256;
/// Room that ticks leave for what must not be passed over.
constexpr std::uint64_t kReserve = 8'192;
/// Announcements between two looks at the room: fewer than the reserve.
constexpr std::size_t kTellAtATime = 1'024;
constexpr std::int64_t kOpenAgainMs = 1'000;
constexpr std::int64_t kOpenAgainMaxMs = 60'000;
constexpr Nanos kOpeningMax = seconds(10);
constexpr std::uint32_t kMore = 1;
constexpr std::uint32_t kFromStart = 2;

}  // namespace

template <class Slot>
RecorderThread::Lane<Slot>::Lane(std::uint32_t slot_count)
    : capacity{slot_count}, control{}, slots{new RingSlot<Slot>[capacity] {}} {
    control.magic = kRingMagic;
    control.slot_bytes = sizeof(RingSlot<Slot>);
    control.capacity = capacity;
    const RingView<Slot> view{&control, slots.get()};
    in = RingProducer<Slot>::attach(view).value();
    out = RingConsumer<Slot>::attach(view).value();
}

RecorderThread::RecorderThread(std::unique_ptr<ticklog::Recorder> recorder, Told told,
                               std::function<void()> on_fatal, std::uint32_t events)
    : recorder_{std::move(recorder)},
      told_{std::move(told)},
      on_fatal_{std::move(on_fatal)},
      events_{events},
      requests_{kRequests},
      thread_{[this] { run(); }} {}

RecorderThread::RecorderThread(Open open, Told told, std::function<void()> on_fatal,
                               std::uint32_t events)
    : open_{std::move(open)},
      told_{std::move(told)},
      on_fatal_{std::move(on_fatal)},
      events_{events},
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

/// What the record cannot do without. Without room all of it is told again when there is some;
/// until then no tick goes in, which its number will tell.
void RecorderThread::publish_or_tell_again(const Event& event) noexcept {
    if (behind_ && !resetting_) {
        return;
    }
    if (!publish(event, 0)) {
        behind_ = true;
        resetting_ = false;
    }
}

void RecorderThread::on_feed(std::uint64_t feed, bool up) {
    Event e;
    e.kind = up ? Kind::FeedUp : Kind::FeedDown;
    e.tick.feed = feed;
    std::erase_if(broken_, [feed](const auto& b) { return b.second == feed; });
    publish_or_tell_again(e);
}

void RecorderThread::on_symbol(const FeedSymbol& s) {
    Event e;
    e.kind = Kind::Symbol;
    e.tick = {s.feed, s.symbol, s.seq, s.time, Price{}, Price{}, 0};
    e.stream = s.stream;
    e.count = s.count;
    publish_or_tell_again(e);
}

void RecorderThread::on_tick(const FeedTick& tick) {
    if (behind_) {
        ++passed_over_;
        return;
    }
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
    if (behind_ || !publish(e, kReserve)) {
        broken_[request] = tick.feed;
    }
}

void RecorderThread::on_history_end(std::uint64_t feed, std::uint64_t request, bool more,
                                    bool from_start) {
    if (broken_.erase(request) != 0) {
        return;  // without an end it is asked for again
    }
    Event e;
    e.kind = Kind::HistoryEnd;
    e.tick.feed = feed;
    e.request = request;
    e.flags = (more ? kMore : 0U) | (from_start ? kFromStart : 0U);
    if (behind_ || !publish(e, kReserve)) {
        return;  // the same
    }
}

/// Once there is room: all links and how far their symbols are, as much as fits.
void RecorderThread::tell_again(TickServer& server) noexcept {
    if (!resetting_) {
        if (events_.in.free_slots() <= kReserve + kTellAtATime) {
            return;
        }
        Event reset;
        reset.kind = Kind::Reset;
        resetting_ = publish(reset, 0);
        told_to_ = 0;
    }
    while (resetting_ && events_.in.free_slots() > kReserve) {
        if (!server.tell_again(*this, told_to_, kTellAtATime)) {
            behind_ = resetting_ = false;
        }
    }
}

/// A disk that does not even refuse: only somebody else can tell.
void RecorderThread::watch_opening() {
    // Relaxed: a number for a message, nothing hangs on it.
    const std::int64_t since = opening_ns_.load(std::memory_order_relaxed);
    if (since != 0 && !opening_told_ && monotonic_ns() - since > kOpeningMax.value) {
        opening_told_ = true;
        told_("ALERT ticks are not recorded: the disk of the record does not answer");
    }
}

void RecorderThread::ask_next(TickServer& server) noexcept {
    watch_opening();
    if (behind_) {
        tell_again(server);
    }
    requests_.out.poll(kRequests, [&server](const RequestSlot& slot) {
        // A source that is gone or does not read is asked again when it is back, or later.
        static_cast<void>(server.ask(slot.value));
    });
}

void RecorderThread::handle(const Event& e) {
    const ticklog::SeriesKey key{e.tick.feed, e.tick.symbol};
    const ticklog::LogTick tick{e.tick.seq, e.tick.time, e.tick.bid, e.tick.ask};
    switch (e.kind) {
        case Kind::Reset:
            for (const std::uint64_t feed : feeds_) {
                recorder_->feed_down(feed);
            }
            feeds_.clear();
            break;
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
        case Kind::History: recorder_->answer(key, e.request, {&tick, 1}); break;
        case Kind::HistoryEnd:
            recorder_->answer_end(e.tick.feed, e.request, (e.flags & kMore) != 0,
                                  (e.flags & kFromStart) != 0);
            break;
    }
}

/// Writes what is due and asks for what is missing.
void RecorderThread::keep_up() {
    const Nanos now = clock_.now();
    const Status written = recorder_->step(now);
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
        while (requests_.in.free_slots() > 0) {
            const auto want = recorder_->next_request(feed, now);
            if (!want) {
                break;
            }
            const FeedRequest ask{want->series.feed, want->request, want->series.symbol,
                                  want->from,        want->to,      want->limit};
            const auto asked = requests_.in.try_publish(RequestSlot{ask});
            ASSERT(asked.ok());
        }
    }
}

/// Until it is open, or the process is to end.
void RecorderThread::open_record() {
    std::int64_t wait_ms = kOpenAgainMs;
    for (bool told = false; recorder_ == nullptr && !stop_.load(std::memory_order_relaxed);) {
        opening_ns_.store(monotonic_ns(), std::memory_order_relaxed);
        auto opened = open_();
        opening_ns_.store(0, std::memory_order_relaxed);
        if (opened) {
            recorder_ = std::move(opened).value();
            if (told) {
                told_("ticks are recorded again");
            }
            return;
        }
        if (!std::exchange(told, true)) {
            told_(std::string{"ALERT ticks are not recorded: "} + opened.error().what +
                  "; tried again and again, and back-filled then");
        }
        for (std::int64_t ms = 0; ms < wait_ms && !stop_.load(std::memory_order_relaxed);
             ms += 10) {
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
        wait_ms = std::min(wait_ms * 2, kOpenAgainMaxMs);
    }
}

void RecorderThread::run() {
    open_record();
    if (recorder_ == nullptr) {
        return;
    }
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
    static_cast<void>(recorder_->flush(clock_.now()));
}

}  // namespace millrace
