#include "bench/pipeline/socket_path.h"

#include "bench/pipeline/report.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace millrace::bench {
namespace {

constexpr unsigned kLookEvery = 1U << 16;  // polls; a look costs a clock

}  // namespace

SocketPath::SocketPath(const std::string& directory, GateLevel gate) : rig_{directory, 1} {
    BrokerOptions options;
    options.find_account = test::lookup(1, gate);
    options.times.silence_ns = seconds(3600);  // between rounds nobody speaks
    std::string message;
    auto made = BrokerStage::create(rig_.segment(), std::move(options), message);
    if (!made) {
        std::fprintf(stderr, "bench: %s\n", message.c_str());
        std::exit(1);
    }
    broker_ = std::move(made).value();
    // The journal that the rig has let in: another one's first event number would be passed over.
    terminal_.journal_id = Rig::kJournalId;
    terminal_.connect(broker_->port());
    const AtomicU32& link = rig_.segment().session(AccountId{0}).link;
    // Acquire: pairs with the stage's release in set_link().
    while (link.load(std::memory_order_acquire) != static_cast<std::uint32_t>(LinkState::Up)) {
        rig_.step();
        broker_->step(rig_.clock().now());
        terminal_.poll();
    }
}

void SocketPath::run_duty_cycles() {
    pin(1);
    // Relaxed: only to end.
    while (runs_.load(std::memory_order_relaxed)) {
        rig_.step_engine();
        broker_->step(rig_.clock().now());
        rig_.step_journal();
    }
}

double SocketPath::round(int signals, std::vector<std::int64_t>& tail) {
    runs_.store(true);
    std::thread stages{[this] { run_duty_cycles(); }};
    std::vector<std::int64_t> samples;
    for (int n = 0; n < signals; ++n) {
        samples.push_back(one_signal());
    }
    runs_.store(false);
    stages.join();
    const Nanos since = rig_.clock().now();
    while (rig_.engine().globals().live_orders != 0) {
        rig_.step();
        rig_.give_up_if_stuck(since, "an answered order is not final");
    }
    tail.insert(tail.end(), samples.begin(), samples.end());
    return static_cast<double>(permille(samples, 500));
}

/// The broker stage takes the time itself, after write() has returned: its histogram's sum grows by
/// exactly this signal's.
std::int64_t SocketPath::one_signal() {
    const Histogram& hop = rig_.segment().hop(Hop::SignalToSocket);
    const std::uint64_t before = hop.sum.load(std::memory_order_relaxed);
    rig_.publish_signal();
    const Nanos since = rig_.clock().now();
    std::uint64_t after = before;
    for (unsigned n = 1; after == before; ++n) {
        after = hop.sum.load(std::memory_order_relaxed);
        if (n % kLookEvery == 0) {
            rig_.give_up_if_stuck(since, "no bytes at the socket");
        }
    }
    for (unsigned n = 1; terminal_.commands.empty(); ++n) {
        terminal_.poll();
        if (n % kLookEvery == 0) {
            rig_.give_up_if_stuck(since, "no command at the terminal");
        }
    }
    const bridge::Command command = terminal_.commands.back().command;
    terminal_.commands.clear();
    answer(command);
    const AtomicU64& applied = rig_.segment().session(AccountId{0}).applied_event;
    // Acquire: pairs with the engine's release.
    for (unsigned n = 1; applied.load(std::memory_order_acquire) < terminal_.events.size(); ++n) {
        terminal_.poll();
        if (n % kLookEvery == 0) {
            rig_.give_up_if_stuck(since, "no word that the fill was taken");
        }
    }
    rig_.drop_results();
    return static_cast<std::int64_t>(after - before);
}

/// Filled; and the server takes the profit at once, so that tables stay small.
void SocketPath::answer(const bridge::Command& command) {
    const Magic magic{command.magic};
    bridge::Event event = test::filled(magic);
    event.deal_ticket = 2 * magic.intent();
    event.position_id = magic.intent();
    std::memcpy(event.symbol, command.symbol, sizeof event.symbol);
    terminal_.send_event(event);
    event.type = static_cast<std::uint8_t>(ReportType::Exec);
    event.exec_kind = static_cast<std::uint8_t>(ExecKind::ClosedByTakeProfit);
    event.side = static_cast<std::uint8_t>(Side::Sell);
    ++event.deal_ticket;
    terminal_.send_event(event);
}

}  // namespace millrace::bench
