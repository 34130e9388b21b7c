#include "bench/pipeline/rounds.h"

#include "bench/pipeline/report.h"
#include "persist/engine_recovery.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

namespace millrace::bench {
namespace {

constexpr int kHandOffs = 20'000;
constexpr int kSignals = 2'000;
constexpr int kWrites = 2'000;

struct Line {
    alignas(kCacheLineBytes) std::atomic<std::uint64_t> ping{0};
    alignas(kCacheLineBytes) std::atomic<std::uint64_t> pong{0};
};

/// CPU time of this thread: what a shared machine's other work does not count in.
std::int64_t thread_cpu_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

void require(bool ok, const char* what) {
    if (!ok) {
        std::fprintf(stderr, "bench: %s\n", what);
        std::exit(1);
    }
}

/// Both ends of a TCP connection over loopback.
std::pair<int, int> tcp_pair() {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof at;
    auto* address = reinterpret_cast<sockaddr*>(&at);
    require(::bind(listener, address, bytes) == 0 && ::listen(listener, 1) == 0 &&
                ::getsockname(listener, address, &bytes) == 0,
            "no loopback socket");
    const int client = ::socket(AF_INET, SOCK_STREAM, 0);
    require(::connect(client, address, bytes) == 0, "cannot connect over loopback");
    const int server = ::accept(listener, nullptr, nullptr);
    const int on = 1;
    ::setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::close(listener);
    return {server, client};
}

}  // namespace

double hand_off_round() {
    Line line;
    std::thread peer{[&line] {
        pin(1);
        for (std::uint64_t n = 1; n <= kHandOffs; ++n) {
            while (line.ping.load(std::memory_order_acquire) != n) {
            }
            line.pong.store(n, std::memory_order_release);
        }
    }};
    std::vector<std::int64_t> rtt;
    rtt.reserve(kHandOffs);
    for (std::uint64_t n = 1; n <= kHandOffs; ++n) {
        const std::int64_t t = monotonic_ns();
        line.ping.store(n, std::memory_order_release);
        while (line.pong.load(std::memory_order_acquire) != n) {
        }
        rtt.push_back(monotonic_ns() - t);
    }
    peer.join();
    // The clock's own cost is in every sample of both figures alike.
    return static_cast<double>(permille(rtt, 500)) / 2;
}

double write_round() {
    const auto [server, client] = tcp_pair();
    const std::vector<char> frame(kCommandFrameBytes, 'x');
    std::vector<char> in(kCommandFrameBytes);
    std::vector<std::int64_t> samples;
    samples.reserve(kWrites);
    for (int n = 0; n < kWrites; ++n) {
        const std::int64_t t = monotonic_ns();
        const ssize_t out = ::write(server, frame.data(), frame.size());
        samples.push_back(monotonic_ns() - t);
        require(out == static_cast<ssize_t>(frame.size()), "a short write");
        for (std::size_t got = 0; got < in.size();) {
            const ssize_t more = ::read(client, in.data(), in.size() - got);
            require(more > 0, "loopback ended");
            got += static_cast<std::size_t>(more);
        }
    }
    ::close(server);
    ::close(client);
    return static_cast<double>(permille(samples, 500));
}

double signal_round(Rig& rig, Pace pace, std::vector<std::int64_t>& tail) {
    std::vector<std::int64_t> samples;
    samples.reserve(kSignals);
    std::atomic<bool> run{true};
    std::thread engine{[&] {
        pin(1);
        while (run.load(std::memory_order_relaxed)) {
            rig.step();
        }
    }};
    for (int n = 0; n < kSignals; ++n) {
        const Nanos sent = rig.publish_signal();
        samples.push_back((rig.await_first_order() - sent).value);
        rig.answer_orders();
        rig.drop_results();
        if (pace == Pace::OneByOne) {
            rig.await_reports_taken();
        }
    }
    run.store(false);
    engine.join();
    tail.insert(tail.end(), samples.begin(), samples.end());
    return static_cast<double>(permille(samples, 500));
}

double fan_out_round(Rig& rig, std::uint32_t accounts) {
    constexpr int kTimes = 20;
    std::int64_t in_engine = 0;
    for (int n = 0; n < kTimes; ++n) {
        rig.publish_signal();
        std::uint32_t seen = 0;
        while (seen < accounts) {
            const std::int64_t t = thread_cpu_ns();
            rig.step_engine();
            in_engine += seen == 0 ? thread_cpu_ns() - t : 0;
            rig.step();
            for (int got = rig.answer_orders(); got > 0; got = rig.answer_orders()) {
                seen += static_cast<std::uint32_t>(got);
                rig.step();
            }
            rig.drop_results();
        }
        for (int i = 0; i < 64; ++i) {
            rig.step();
            rig.drop_results();
        }
    }
    return static_cast<double>(accounts) * kTimes * 1e9 / static_cast<double>(in_engine);
}

double replay(const std::string& directory, const Capacity& capacity, Sequence end) {
    Engine engine{capacity};
    std::string message;
    const std::int64_t t = thread_cpu_ns();
    const auto done = replay_files(directory, end, engine, message);
    const std::int64_t took = thread_cpu_ns() - t;
    if (!done) {
        std::fprintf(stderr, "bench: replay: %s\n", message.c_str());
        std::exit(1);
    }
    return static_cast<double>(engine.seq().value) * 1e3 / static_cast<double>(took);
}

}  // namespace millrace::bench
