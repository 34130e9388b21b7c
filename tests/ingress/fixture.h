// What the ingress tests stand on: a segment in a temporary directory, an engine stand-in that
// pops signals and pushes results, and a loop that steps everything until a condition holds.
#pragma once

#include "gateway/ingress_stage.h"
#include "gateway/signal_client.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace millrace::ingress_test {

/// A directory of this test alone, removed at its end.
class TempDir {
public:
    TempDir() {
        static std::atomic<int> next{0};
        path_ = std::filesystem::temp_directory_path() /
                ("millrace-ingress-" + std::to_string(::getpid()) + "-" + std::to_string(next++));
        std::filesystem::create_directories(path_);
    }
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    [[nodiscard]] std::string file(const std::string& name) const {
        return (path_ / name).string();
    }
    [[nodiscard]] std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

inline void define_name(NameEntry& entry, std::string_view name) {
    entry.name = make_text<16>(name);
    entry.ready.store(1, std::memory_order_release);  // pairs with find_name()'s acquire
}

inline Segment make_segment(const TempDir& dir, std::uint32_t signals_slots = 1024,
                            std::uint32_t results_slots = 1024,
                            std::vector<StrategyPlan> strategies = {}) {
    SegmentPlan plan;
    plan.path = dir.file("segment");
    plan.journal_dir = dir.path();
    plan.sessions = 2;
    plan.session_slots = 4;
    plan.journal_slots = 4;
    plan.orders_slots = 4;
    plan.reports_slots = 4;
    plan.signals_slots = signals_slots;
    plan.results_slots = results_slots;
    plan.admin_slots = 4;
    plan.strategies = std::move(strategies);
    plan.memory.lock = MemoryWish::Off;
    std::string message;
    auto segment = Segment::create(plan, message);
    EXPECT_TRUE(segment.ok()) << message;
    define_name(segment.value().names().groups[0], "main");
    define_name(segment.value().names().symbols[0], "EURUSD");
    define_name(segment.value().names().symbols[1], "XAUUSD");
    segment.value().core().config_hash.store(1);
    segment.value().core().journal_state.store(static_cast<std::uint32_t>(JournalState::Running));
    return std::move(segment).value();
}

/// Does what the engine does for a source: ledger, journal numbers, answers. Takes nothing while
/// `paused`. Publishing moves `durable` along unless `disk_slow`.
class EngineStandIn {
public:
    EngineStandIn(Segment& segment, const std::string& source)
        : segment_{segment},
          signals_{RingConsumer<SignalSlot>::attach(
                       segment.ring<SignalSlot>(segment.find_ring("signals." + source)))
                       .value()},
          results_{RingProducer<ResultSlot>::attach(
                       segment.ring<ResultSlot>(segment.find_ring("results." + source)))
                       .value()} {}

    void step() {
        while (!paused) {
            const SignalSlot* slot = signals_.peek();
            if (slot == nullptr || results_.free_slots() < 2) {
                break;
            }
            take(slot->value);
            signals_.advance();
            signals_.release();
        }
        if (!disk_slow) {
            segment_.core().durable.store(seq_, std::memory_order_release);
        }
    }

    /// Publishes a result of any kind, as the engine would later.
    void publish(ResultKind kind, const Signal& s, Sequence original = Sequence{0}) {
        SignalResult r;
        r.seq = Sequence{seq_};
        r.k = k_++;
        r.kind = kind;
        r.signal = s.id;
        r.source = s.source;
        r.original = original;
        ASSERT_TRUE(results_.try_publish({r}).ok());
    }

    std::map<SignalId, std::uint64_t> ledger;  // id -> sequence at which it was accepted
    std::vector<Signal> accepted;
    bool paused = false;
    bool disk_slow = false;
    int refuse_next = 0;
    [[nodiscard]] std::uint64_t seq() const { return seq_; }
    [[nodiscard]] std::uint64_t free_results() { return results_.free_slots(); }

private:
    void take(const Signal& s) {
        ++seq_;
        if (refuse_next > 0) {
            --refuse_next;
            return publish(ResultKind::Refused, s);  // not remembered, as the engine does it
        }
        const auto [known, fresh] = ledger.emplace(s.id, seq_);
        if (!fresh) {
            return publish(ResultKind::Duplicate, s, Sequence{known->second});
        }
        accepted.push_back(s);
        publish(ResultKind::Accepted, s);
    }

    Segment& segment_;
    RingConsumer<SignalSlot> signals_;
    RingProducer<ResultSlot> results_;
    std::uint64_t seq_ = 0;
    std::uint32_t k_ = 0;
};

inline std::vector<std::byte> key_of(char c) {
    return std::vector<std::byte>(32, std::byte(c));
}

inline IngressOptions default_options(AckLevel alpha = AckLevel::Process) {
    IngressOptions o;
    o.sources = {{"alpha", SourceId{1}, key_of('a'), alpha},
                 {"beta", SourceId{2}, key_of('b'), AckLevel::Process}};
    return o;
}

inline SignalRequest open_signal(std::uint64_t n) {
    SignalRequest r;
    r.id = {0xA0A0'0000'0000'0000ULL, n};
    r.group = "main";
    r.symbol = "EURUSD";
    r.volume = Lots{kScale / 10};
    return r;
}

/// A stage with clients and an engine around it, stepped by one thread.
struct Bench {
    explicit Bench(IngressOptions options = default_options(), std::uint32_t signals_slots = 1024,
                   std::uint32_t results_slots = 1024)
        : segment{make_segment(dir, signals_slots, results_slots)},
          engine{segment, "ingress"},
          options_{std::move(options)} {
        start_stage();
    }

    void start_stage() {
        std::string message;
        auto made = IngressStage::create(segment, options_, message);
        ASSERT_TRUE(made.ok()) << message;
        stage = std::move(made).value();
        options_.listen.port = stage->port();  // a restart comes back on the same port
    }
    void stop_stage() { stage.reset(); }

    SignalClientOptions client_options(const std::string& source) const {
        SignalClientOptions o;
        o.port = options_.listen.port;
        o.source = source;
        o.key = key_of(source[0]);
        return o;
    }
    SignalClient& connect(SignalClientOptions o, SignalCallbacks callbacks = {}) {
        std::string message;
        auto made = SignalClient::create(std::move(o), std::move(callbacks), message);
        EXPECT_TRUE(made.ok()) << message;
        clients.push_back(std::move(made).value());
        return *clients.back();
    }
    SignalClient& connect(const std::string& source, SignalCallbacks callbacks = {}) {
        return connect(client_options(source), std::move(callbacks));
    }

    void step_once() {
        if (stage != nullptr) {
            stage->step(segment.clock().now() + skew);
        }
        engine.step();
        for (const auto& c : clients) {
            c->poll(0);
        }
    }
    /// Steps until `condition` holds. @return false after three minutes.
    [[nodiscard]] bool until(const std::function<bool()>& condition) {
        const std::int64_t deadline = monotonic_ns() + 180'000'000'000;
        while (!condition()) {
            if (monotonic_ns() > deadline) {
                return false;
            }
            step_once();
        }
        return true;
    }
    void steps(int n) {
        for (int i = 0; i < n; ++i) {
            step_once();
        }
    }

    TempDir dir;
    Segment segment;
    EngineStandIn engine;
    std::unique_ptr<IngressStage> stage;
    std::vector<std::unique_ptr<SignalClient>> clients;
    Nanos skew;  // added to the stage's clock: time passes without waiting

private:
    IngressOptions options_;
};

}  // namespace millrace::ingress_test
