// bench_ticks: how fast a tick is from a terminal's socket to the latest-tick table, how many a
// second go in, and what a thousand symbols cost beside ten. The limit is the same TCP connection
// with nothing behind it: frames of the same bytes, read and thrown away. A TickServer in a thread
// of its own, polled without a pause; the terminal is a TickFeed in this one.
//
// Which of the server threads runs is said by turns: there are two cores.
//
//     bench_ticks [--rounds N] [--ticks N] [--json FILE]
#include "bench/lib/results.h"
#include "gateway/ticks/tick_feed.h"
#include "gateway/ticks/tick_server.h"
#include "persist/ticks/tick_block.h"
#include "shm/clock.h"

#include <CLI/CLI.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace millrace::bench {
namespace {

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "bench_ticks: %s\n", what.c_str());
    std::exit(1);
}

std::vector<std::byte> key() {
    return std::vector<std::byte>(32, std::byte{7});
}

class Nobody final : public TickSink {
public:
    void on_feed(std::uint64_t, bool) override {}
    void on_symbol(const FeedSymbol&) override {}
    void on_tick(const FeedTick&) override {}
    void on_latest(std::uint32_t, const FeedTick&, Nanos) override {}
    void on_history(std::uint64_t, const FeedTick&) override {}
    void on_history_end(std::uint64_t, std::uint64_t, bool, bool) override {}
};

/// A thread that does `turn` without a pause while it is let.
class Spinner {
public:
    explicit Spinner(std::function<void()> turn)
        : turn_{std::move(turn)}, thread_{[this] {
              for (int s = kRun; s != kEnd; s = state_.load()) {
                  s == kRun ? turn_() : state_.wait(kRest);
              }
          }} {}
    ~Spinner() {
        set(kEnd);
        thread_.join();
    }
    void run() { set(kRun); }
    void rest() { set(kRest); }

private:
    static constexpr int kRun = 0, kRest = 1, kEnd = 2;
    void set(int state) {
        state_ = state;
        state_.notify_one();
    }
    std::function<void()> turn_;
    std::atomic<int> state_{kRun};
    std::thread thread_;
};

/// The limit: a TCP connection on loopback whose far end counts bytes.
class Bare {
public:
    Bare() {
        std::string message;
        auto listener = net::Listener::open({.port = 0}, message);
        if (!listener) {
            die(message);
        }
        out_ = net::begin_connect("127.0.0.1", listener.value().port()).value();
        for (auto got = listener.value().accept(); !in_; got = listener.value().accept()) {
            if (got) {
                in_ = std::move(got).value();
            }
        }
        spinner_ = std::make_unique<Spinner>([this] {
            std::byte bytes[64 * 1024];
            const ssize_t n = ::recv(in_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
            seen_.fetch_add(n > 0 ? static_cast<std::uint64_t>(n) : 0);
        });
        rest();
    }
    void run() { spinner_->run(); }
    void rest() { spinner_->rest(); }
    void send(std::size_t bytes) {
        static const std::byte kZero[1024]{};
        while (bytes > 0) {
            const ssize_t n = ::send(out_.get(), kZero, bytes, MSG_NOSIGNAL);
            const auto done = n > 0 ? static_cast<std::size_t>(n) : 0;
            bytes -= done;
            sent_ += done;
        }
    }
    void wait() const {
        while (seen_.load() != sent_) {
        }
    }

private:
    net::Fd out_;
    net::Fd in_;
    std::uint64_t sent_ = 0;
    std::atomic<std::uint64_t> seen_{0};
    std::unique_ptr<Spinner> spinner_;
};

/// A server that polls in its own thread, and a feed of `symbols` that is up.
class Rig {
public:
    explicit Rig(int symbols)
        : path_{"/dev/shm/mrticks-bench-" + std::to_string(::getpid()) + "-" +
                std::to_string(symbols)} {
        TickServerOptions o;
        o.listen.port = 0;
        o.table_path = path_;
        o.symbols_max = 2'048;
        o.accounts = {{1, key(), "", ""}};
        std::string message;
        auto server = TickServer::open(std::move(o), nobody_, message);
        if (!server) {
            die(message);
        }
        server_ = std::move(server).value();
        table_ = TickTableReader{TickTableMap::attach(path_).value()};
        TickFeedOptions f;
        f.port = server_->port();
        f.login = 1;
        f.key = key();
        f.kept_max = 1'000;
        feed_ = std::make_unique<TickFeed>(std::move(f));
        spinner_ = std::make_unique<Spinner>([this] { server_->step(Nanos{monotonic_ns()}); });
        for (int i = 0; i < symbols; ++i) {
            names_.push_back("SYM" + std::to_string(i));
            push(i);
        }
        wait([this] { return has_all(); });
        for (const std::string& name : names_) {
            rows_.push_back(*table_.find(name));
        }
        spinner_->rest();
    }
    ~Rig() {
        spinner_.reset();
        ::unlink(path_.c_str());
    }
    Rig(const Rig&) = delete;
    Rig& operator=(const Rig&) = delete;

    void push(int symbol) {
        ++n_;
        feed_->push(names_[static_cast<std::size_t>(symbol)], Nanos{n_}, Price{n_}, Price{n_ + 1});
    }
    /// Lets the server run, and brings the link up again if it was dropped for its long silence.
    void run() {
        spinner_->run();
        push(0);
        wait([this] { return feed_->up() && shows(0); });
    }
    void rest() { spinner_->rest(); }
    void step() { feed_->step(Nanos{monotonic_ns()}); }
    [[nodiscard]] bool shows(int symbol) const {
        return table_.latest(rows_[static_cast<std::size_t>(symbol)]).bid.value == n_;
    }
    template <class Done>
    void wait(Done&& done) {
        const std::int64_t end = monotonic_ns() + seconds(20).value;
        while (!done()) {
            step();
            if (monotonic_ns() > end) {
                die("the table does not show what was sent within 20 s");
            }
        }
    }
    [[nodiscard]] int symbols() const { return static_cast<int>(names_.size()); }
    [[nodiscard]] const TickFeed& feed() const { return *feed_; }

private:
    [[nodiscard]] bool has_all() const {
        return table_.rows() == names_.size() && table_.latest(table_.rows() - 1).bid.value != 0;
    }
    std::string path_;
    Nobody nobody_;
    std::unique_ptr<TickServer> server_;
    TickTableReader table_;
    std::unique_ptr<TickFeed> feed_;
    std::vector<std::string> names_;
    std::vector<std::uint32_t> rows_;
    std::int64_t n_ = 0;
    std::unique_ptr<Spinner> spinner_;
};

void record(Series& series, Hdr& round) {
    series.rounds.push_back(static_cast<double>(round.quantile(0.5)) / 1e3);
    series.histogram.add(round);
}

/// One tick at a time: push() to the moment a reader of the table sees it.
void tick_trips(Rig& rig, int trips, Series& series) {
    Hdr round;
    rig.run();
    for (int i = 0; i < trips; ++i) {
        const int symbol = i % rig.symbols();
        const std::int64_t begin = monotonic_ns();
        rig.push(symbol);
        rig.step();
        while (!rig.shows(symbol)) {
        }
        round.add(monotonic_ns() - begin);
    }
    rig.rest();
    record(series, round);
}
void bare_trips(Bare& bare, int trips, Series& series) {
    Hdr round;
    bare.run();
    for (int i = 0; i < trips; ++i) {
        const std::int64_t begin = monotonic_ns();
        bare.send(sizeof(wire::FrameHeader) + sizeof(tick_wire::TickEntry));
        bare.wait();
        round.add(monotonic_ns() - begin);
    }
    bare.rest();
    record(series, round);
}

/// As many as get through: every tick that is pushed is sent, none passed over.
double ticks_per_second(Rig& rig, int ticks) {
    rig.run();
    const std::uint64_t passed = rig.feed().stats().passed_over;
    const std::int64_t begin = monotonic_ns();
    for (int i = 0; i < ticks; ++i) {
        rig.push(i % rig.symbols());
        if (i % 480 == 479) {  // what the socket's buffer has room for, and a half
            rig.step();
        }
        if (i % 4'800 == 4'799) {
            rig.wait([&rig, i] { return rig.shows(i % rig.symbols()); });
        }
    }
    const int last = (ticks - 1) % rig.symbols();
    rig.wait([&rig, last] { return rig.shows(last); });
    const auto took = static_cast<double>(monotonic_ns() - begin);
    rig.rest();
    if (rig.feed().stats().passed_over != passed) {
        die("ticks were passed over: the figure would be of fewer");
    }
    return ticks * 1e9 / took;
}
double bare_per_second(Bare& bare, int ticks) {
    bare.run();
    const std::int64_t begin = monotonic_ns();
    for (int i = 0; i < ticks; i += static_cast<int>(tick_wire::kEntriesMax)) {
        bare.send(sizeof(wire::FrameHeader) +
                  tick_wire::kEntriesMax * sizeof(tick_wire::TickEntry));
    }
    bare.wait();
    const auto took = static_cast<double>(monotonic_ns() - begin);
    bare.rest();
    return ticks * 1e9 / took;
}

/// What the record of them takes: encoding, LZ4, CRC; no disk.
double recorded_per_second(int ticks, int symbols) {
    ticklog::BlockWriter block;
    std::vector<std::byte> out;
    std::vector<ticklog::SeriesKey> keys;
    for (int s = 0; s < symbols; ++s) {
        ticklog::SeriesKey k{1, {}};
        std::snprintf(k.symbol.bytes, sizeof k.symbol.bytes, "SYM%d", s);
        keys.push_back(k);
    }
    const std::int64_t begin = monotonic_ns();
    for (int i = 0; i < ticks; ++i) {
        const std::int64_t price = 110'000'000 + std::int64_t{i} * 7'919 % 200 * 1'000;
        block.tick(keys[static_cast<std::size_t>(i % symbols)],
                   {static_cast<std::uint64_t>(i / symbols + 1), millis(1'700'000'000'000 + i / 10),
                    Price{price}, Price{price + 8'000}},
                   false);
        if (block.bytes() > ticklog::kBlockBytes) {
            out.clear();
            block.take(out);
        }
    }
    out.clear();
    block.take(out);
    return ticks * 1e9 / static_cast<double>(monotonic_ns() - begin);
}

int run(int rounds, int ticks, const std::string& json) {
    constexpr int kTrips = 2'000;
    Results results;
    Bare bare;
    Rig few{10};
    Rig many{1'000};
    const std::string wire = "wire to table, one by one";
    const std::string rate = "ticks a second, wire to table";
    const std::string cost = "1,000 symbols beside 10, wire to table";
    for (int i = 0; i < rounds; ++i) {
        const auto us = [&](const std::string& group, const char* name, Part part) -> Series& {
            return results.series(group, name, part, "us", false);
        };
        const auto per_s = [&](const std::string& group, const char* name, Part part) -> auto& {
            return results.series(group, name, part, "ticks/s", true).rounds;
        };
        bare_trips(bare, kTrips, us(wire, "bare TCP, same bytes", Part::Limit));
        tick_trips(few, kTrips, us(wire, "a tick", Part::Ours));
        tick_trips(few, kTrips, us(cost, "10 symbols", Part::Limit));
        tick_trips(many, kTrips, us(cost, "1,000 symbols", Part::Ours));
        per_s(rate, "bare TCP, same bytes", Part::Limit).push_back(bare_per_second(bare, ticks));
        per_s(rate, "10 symbols", Part::Ours).push_back(ticks_per_second(few, ticks));
        per_s(rate, "1,000 symbols", Part::Ours).push_back(ticks_per_second(many, ticks));
        per_s("ticks a second into blocks, 1,000 symbols", "no disk", Part::Ours)
            .push_back(recorded_per_second(ticks, 1'000));
    }
    for (const std::string& group :
         {wire, cost, rate, std::string{"ticks a second into blocks, 1,000 symbols"}}) {
        results.print(group);
    }
    return json.empty() || results.write(json) ? 0 : 1;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
    CLI::App app{"Ticks: into the table, into the record"};
    int rounds = 10;
    int ticks = 200'000;
    std::string json;
    app.add_option("--rounds", rounds)->check(CLI::Range(1, 1'000));
    app.add_option("--ticks", ticks, "a round")->check(CLI::Range(1'000, 10'000'000));
    app.add_option("--json", json);
    CLI11_PARSE(app, argc, argv);
    return millrace::bench::run(rounds, ticks, json);
}
