// RecorderThread: the recorder on a thread of its own, behind a ring, so that a disk that does not
// answer never holds up a tick on its way to the latest-tick table. A full ring is not waited for:
// the tick is missing in the record, its number says so, and it is back-filled. If not even the
// announcements fit, ticks are passed over until all of them have been told again.
#pragma once

#include "gateway/ticks/tick_server.h"
#include "persist/ticks/recorder.h"
#include "ring/spsc_ring.h"
#include "shm/clock.h"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

namespace millrace {

/// Threads: on_*() and ask_next() belong to the thread of the TickServer.
class RecorderThread final : public TickSink {
public:
    /// Tells what the disk says; from the recorder's thread, or, of a disk that does not answer at
    /// the start, from ask_next().
    using Told = std::function<void(const std::string& text)>;
    /// Opens the record; from the recorder's thread.
    using Open = std::function<Result<std::unique_ptr<ticklog::Recorder>>()>;

    static constexpr std::uint32_t kEvents = 1U << 16U;

    /// @param on_fatal the record cannot go on in this process.
    /// @param events slots between the threads: a power of two, 16,384 at least.
    RecorderThread(std::unique_ptr<ticklog::Recorder> recorder, Told told,
                   std::function<void()> on_fatal, std::uint32_t events = kEvents);
    /// The record is opened by the thread, and tried again while it cannot be, with an ALERT: who
    /// listens for ticks does not wait for a disk. What does not fit into the ring until then is
    /// passed over, and back-filled.
    RecorderThread(Open open, Told told, std::function<void()> on_fatal,
                   std::uint32_t events = kEvents);
    ~RecorderThread() override;

    void on_feed(std::uint64_t feed, bool up) override;
    void on_symbol(const FeedSymbol& symbol) override;
    void on_tick(const FeedTick& tick) override;
    void on_latest(std::uint32_t, const FeedTick&, Nanos) override {}
    void on_history(std::uint64_t request, const FeedTick& tick) override;
    void on_history_end(std::uint64_t feed, std::uint64_t request, bool more,
                        bool from_start) override;

    /// Hands what the recorder wants of its sources to the server, and has the server tell again
    /// what the ring had no room for. Each round.
    void ask_next(TickServer& server) noexcept;
    /// Ticks that the ring had no room for.
    [[nodiscard]] std::uint64_t passed_over() const noexcept { return passed_over_; }

private:
    enum class Kind : std::uint32_t { Reset, FeedUp, FeedDown, Symbol, Tick, History, HistoryEnd };
    struct Event {
        Kind kind{};
        std::uint32_t flags = 0;
        FeedTick tick;
        std::uint64_t request = 0;
        std::uint64_t stream = 0;
        std::uint64_t count = 0;
    };
    using EventSlot = Padded<Event>;
    using RequestSlot = Padded<FeedRequest>;
    /// A ring of this process alone.
    template <class Slot>
    struct Lane {
        explicit Lane(std::uint32_t slot_count);
        std::uint32_t capacity;
        RingControl<> control;
        std::unique_ptr<RingSlot<Slot>[]> slots;
        RingProducer<Slot> in;
        RingConsumer<Slot> out;
    };

    bool publish(const Event& event, std::uint64_t reserve) noexcept;
    void publish_or_tell_again(const Event& event) noexcept;
    void tell_again(TickServer& server) noexcept;
    void run();
    void open_record();
    void watch_opening();
    void handle(const Event& event);
    void keep_up();

    Open open_;
    std::unique_ptr<ticklog::Recorder> recorder_;  // the recorder's thread; null until it is open
    Told told_;
    std::function<void()> on_fatal_;
    Lane<EventSlot> events_;
    Lane<RequestSlot> requests_;
    std::set<std::uint64_t> feeds_;                  // the recorder's thread
    std::map<std::uint64_t, std::uint64_t> broken_;  // requests whose answer misses a part -> feed
    std::uint64_t passed_over_ = 0;
    bool behind_ = false;      // announcements are missing in the ring: nothing else goes in
    bool resetting_ = false;   // they are being told again, from
    std::size_t told_to_ = 0;  // this one on
    Clock clock_{wall_ns() - monotonic_ns()};  // never steps
    bool disk_fails_ = false;
    // 0 = not trying; else since when, for the other thread to see that it does not come back.
    std::atomic<std::int64_t> opening_ns_{0};
    bool opening_told_ = false;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace millrace
