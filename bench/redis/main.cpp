// bench_redis: what one would take otherwise: a Redis Stream on loopback, XADD -> XREADGROUP,
// against a redis-server of our own (no persistence), beside our ring between two threads on the
// same two CPUs. One message at a time: round trip / 2, and one after the other at full speed.
//
//     bench_redis [--rounds N] [--cpus A,B] [--json FILE]
#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <netinet/tcp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/lib/results.h"
#include "bench/ring/measure.h"

namespace millrace::bench {
namespace {

using Context = std::unique_ptr<redisContext, decltype(&redisFree)>;
using Reply = std::unique_ptr<redisReply, decltype(&freeReplyObject)>;
constexpr int kPipeline = 64;  // XADDs in flight at full speed, as many entries a XREADGROUP

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "bench_redis: %s\n", what.c_str());
    std::exit(1);
}

/// A port that was free a moment ago.
int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (fd < 0 || ::bind(fd, generic, size) != 0 || ::getsockname(fd, generic, &size) != 0) {
        die(std::string{"no port: "} + std::strerror(errno));
    }
    ::close(fd);
    return ntohs(address.sin_port);
}

/// redis-server on loopback; ends with this object, or with us.
class Server {
public:
    Server() : port_{free_port()}, pid_{::fork()} {
        if (pid_ < 0) {
            die("cannot fork");
        }
        if (pid_ == 0) {
            ::setsid();
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            const std::string port = std::to_string(port_);
            ::execlp("redis-server", "redis-server", "--port", port.c_str(), "--bind", "127.0.0.1",
                     "--save", "", "--appendonly", "no", "--logfile", "/dev/null",
                     static_cast<char*>(nullptr));
            std::perror("bench_redis: redis-server (package redis-server)");
            ::_exit(127);
        }
    }
    ~Server() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    [[nodiscard]] Context connect() const {
        for (int i = 0; i < 500; ++i) {
            Context c{redisConnectWithTimeout("127.0.0.1", port_, {5, 0}), &redisFree};
            if (c && c->err == 0) {
                const int on = 1;
                ::setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                return c;
            }
            if (::waitpid(pid_, nullptr, WNOHANG) != 0) {
                die("redis-server ended at once");
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{20});  // until it listens
        }
        die("redis-server does not answer");
    }

private:
    int port_;
    pid_t pid_;
};

Reply ask(redisContext* c, const std::string& command) {
    Reply r{static_cast<redisReply*>(redisCommand(c, command.c_str())), &freeReplyObject};
    if (!r || r->type == REDIS_REPLY_ERROR) {
        die(command + ": " + (r ? r->str : c->errstr));
    }
    return r;
}

void fresh(redisContext* c, const std::string& stream) {
    ask(c, "DEL " + stream);
    ask(c, "XGROUP CREATE " + stream + " g $ MKSTREAM");
}

/// Sends `count` 64-byte entries with at most `window` unanswered.
void add(redisContext* c, const char* stream, int count, int window) {
    const std::string payload(64, 'x');
    int sent = 0;
    for (int answered = 0; answered < count; ++answered) {
        for (; sent < count && sent - answered < window; ++sent) {
            redisAppendCommand(c, "XADD %s MAXLEN ~ 10000 * m %b", stream, payload.data(),
                               payload.size());
        }
        void* reply = nullptr;
        if (redisGetReply(c, &reply) != REDIS_OK) {
            die(std::string{"XADD: "} + c->errstr);
        }
        freeReplyObject(reply);
    }
}

/// Reads and acknowledges (NOACK) until `count` entries have come.
void read(redisContext* c, const std::string& stream, int count, int batch) {
    const std::string command = "XREADGROUP GROUP g c COUNT " + std::to_string(batch) +
                                " BLOCK 5000 NOACK STREAMS " + stream + " >";
    while (count > 0) {
        const Reply r = ask(c, command);
        if (r->type != REDIS_REPLY_ARRAY || r->elements == 0) {
            die("XREADGROUP: nothing within 5 s");
        }
        count -= static_cast<int>(r->element[0]->element[1]->elements);
    }
}

Round redis_trip(const Server& server, const Setup& s, int trips, Hdr& all) {
    const Context near = server.connect(), far = server.connect();
    fresh(near.get(), "there");
    fresh(near.get(), "back");
    Hdr round;
    const bool quiet = run_pair(
        Mode::Threads, s.cpu_near, s.cpu_far,
        [&] {
            for (int i = 0; i < trips; ++i) {
                const std::int64_t t = ticks();
                add(near.get(), "there", 1, 1);
                read(near.get(), "back", 1, 1);
                round.add(static_cast<std::int64_t>(ticks_to_ns(ticks() - t) / 2));
            }
        },
        [&] {
            for (int i = 0; i < trips; ++i) {
                read(far.get(), "there", 1, 1);
                add(far.get(), "back", 1, 1);
            }
        });
    all.add(round);
    return {static_cast<double>(round.quantile(0.5)), quiet};
}

Round redis_throughput(const Server& server, const Setup& s, int messages) {
    const Context near = server.connect(), far = server.connect();
    fresh(near.get(), "stream");
    std::int64_t began = 0, ended = 0;
    const bool quiet = run_pair(
        Mode::Threads, s.cpu_near, s.cpu_far,
        [&] {
            began = ticks();
            add(near.get(), "stream", messages, kPipeline);
        },
        [&] {
            read(far.get(), "stream", messages, kPipeline);
            ended = ticks();
        });
    return {messages * 1e3 / ticks_to_ns(ended - began), quiet};
}

void note(Series& series, const Round& round) {
    series.rounds.push_back(round.value);
    series.undisturbed.push_back(round.undisturbed);
}

Results run(const Server& server, int rounds, double scale, const Setup& s) {
    const auto count = [scale](double n) { return std::max(1, static_cast<int>(n * scale)); };
    Results results;
    const char* latency = "64 B, round trip / 2, Redis Stream";
    const char* rate = "throughput 64 B, Redis Stream";
    for (int i = 0; i < rounds; ++i) {
        Series& redis_hop =
            results.series(latency, "redis XADD, XREADGROUP", Part::Rival, "ns", false);
        note(redis_hop, redis_trip(server, s, count(200), redis_hop.histogram));
        Series& hop = results.series(latency, "millrace", Part::Ours, "ns", false);
        note(hop, round_trip<Ours<8>>(s, static_cast<std::uint64_t>(count(5000)), hop.histogram));
        note(results.series(rate, "redis, 64 in flight, reads of 64", Part::Rival, "M/s", true),
             redis_throughput(server, s, count(5000)));
        note(results.series(rate, "millrace", Part::Ours, "M/s", true),
             batch_throughput<Ours, 8>(s, static_cast<std::uint64_t>(count(100'000)), kPipeline));
    }
    results.print(latency);
    results.print(rate);
    return results;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
    int rounds = 12;
    double scale = 1.0;
    std::vector<int> cpus{0, 1};
    std::string json;
    CLI::App app{"Redis Streams on loopback beside our ring"};
    app.add_option("--rounds", rounds)->check(CLI::Range(1, 1000));
    app.add_option("--scale", scale, "of the counts of messages")->check(CLI::Range(0.001, 100.0));
    app.add_option("--cpus", cpus)->delimiter(',')->expected(2)->check(CLI::Range(0, 1023));
    app.add_option("--json", json, "where to write the results");
    CLI11_PARSE(app, argc, argv);
    const millrace::bench::Server server;
    const auto results = millrace::bench::run(
        server, rounds, scale, {millrace::bench::Mode::Threads, cpus[0], cpus[1], 0});
    return json.empty() || results.write(json) ? 0 : 1;
}
