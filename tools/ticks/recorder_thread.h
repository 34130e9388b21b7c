// RecorderThread: the recorder on a thread of its own, behind a ring, so that a disk that does not
// answer never holds up a tick on its way to the latest-tick table. A full ring is not waited for:
// the tick is missing in the record, its number says so, and it is back-filled.
#pragma once

#include "gateway/ticks/tick_server.h"
#include "persist/ticks/recorder.h"
#include "ring/spsc_ring.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace millrace {

/// Threads: on_*() and ask_next() belong to the thread of the TickServer.
class RecorderThread final : public TickSink {
public:
    /// Tells what the disk says; from the recorder's thread.
    using Told = std::function<void(const std::string& text)>;

    /// @param on_fatal the record cannot go on in this process.
    RecorderThread(std::unique_ptr<ticklog::Recorder> recorder, Told told,
                   std::function<void()> on_fatal);
    ~RecorderThread() override;

    void on_feed(std::uint64_t feed, bool up) override;
    void on_symbol(const FeedSymbol& symbol) override;
    void on_tick(const FeedTick& tick) override;
    void on_latest(std::uint32_t, const FeedTick&, Nanos) override {}
    void on_history(std::uint64_t request, const FeedTick& tick) override;
    void on_history_end(std::uint64_t request, bool more, bool from_start) override;

    /// Hands what the recorder wants of its sources to the server.
    void ask_next(TickServer& server) noexcept;
    /// Ticks that the ring had no room for.
    [[nodiscard]] std::uint64_t passed_over() const noexcept { return passed_over_; }

private:
    enum class Kind : std::uint32_t { FeedUp, FeedDown, Symbol, Tick, History, HistoryEnd };
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
        explicit Lane(std::uint32_t capacity);
        RingControl<> control;
        std::unique_ptr<RingSlot<Slot>[]> slots;
        RingProducer<Slot> in;
        RingConsumer<Slot> out;
    };

    bool publish(const Event& event, std::uint64_t reserve) noexcept;
    void publish_or_end(const Event& event) noexcept;
    void run();
    void handle(const Event& event);
    void keep_up();

    std::unique_ptr<ticklog::Recorder> recorder_;
    Told told_;
    std::function<void()> on_fatal_;
    Lane<EventSlot> events_;
    Lane<RequestSlot> requests_;
    std::set<std::uint64_t> feeds_;     // the recorder's thread
    std::uint64_t broken_request_ = 0;  // part of its answer was passed over
    std::uint64_t passed_over_ = 0;
    bool disk_fails_ = false;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace millrace
