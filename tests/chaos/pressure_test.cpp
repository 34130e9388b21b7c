// Goal: what is slow, deaf or stopped holds up nothing but itself; the kill switch gets through;
// afterwards everything is accounted for. Method: the whole pipeline under load, one part of it
// stopped or flooded for seconds; the others' fills, the operator's commands and the broker's
// books tell.
//
// MILLRACE_LONG: one terminal is busy for three minutes. MILLRACE_CHAOS_POSITIONS says how many
// positions the flatten closes (10,000).
#include <gtest/gtest.h>

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <cstdlib>
#include <cstring>

#include "gateway/client/millrace_client.hpp"
#include "gateway/frame.h"
#include "gateway/signal_wire.h"
#include "gateway/tcp.h"
#include "shm/clock.h"
#include "tests/chaos/world.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kCommandMax = seconds(20);  // an operator's patience on a loaded machine
constexpr Nanos kSlowMachine = seconds(120);
constexpr std::size_t kPositions = 10'000;

std::uint64_t sum_of(const std::map<std::uint32_t, std::uint64_t>& fills, std::uint32_t except) {
    std::uint64_t sum = 0;
    for (const auto& [account, count] : fills) {
        sum += account == except ? 0 : count;
    }
    return sum;
}

void expect_kill_gets_through(World& world, const std::string& name) {
    std::string output;
    EXPECT_EQ(world.command({"kill", "--account", name}, kCommandMax, &output), 0) << output;
    EXPECT_EQ(world.command({"unkill", "--account", name}, kCommandMax, &output), 0) << output;
}

void expect_good_end(World& world) {
    const Judgement judgement = world.finish();
    EXPECT_TRUE(judgement.good()) << describe(judgement, world);
    EXPECT_GT(judgement.book_executions, 0U) << "nothing was traded: this proves nothing";
}

/// One account whose terminal says BUSY for a minute and does not answer. The broker stage believes
/// it for 30 s and then holds its link for down; a minute after its word it comes back.
class BusyMinute {
public:
    BusyMinute(World& world, const demo::AccountPlan& busy) : world_{world}, login_{busy.login} {
        const auto logins = world.pipeline().logins();
        const auto at = std::find_if(logins.begin(), logins.end(),
                                     [&](const auto& l) { return l.second == login_; });
        EXPECT_NE(at, logins.end()) << "no account has login " << login_;
        account_ = at == logins.end() ? 0 : at->first;
    }

    /// The others trade in each quarter of the minute, and in its middle an operator kills and
    /// brings back one of them.
    /// @return false if the minute was over before all that was done: a machine to which much else
    /// is given to do. Then nothing was shown.
    bool passes(const std::string& killed) {
        EXPECT_TRUE(
            world_.control({{"cmd", "busy"}, {"login", login_}, {"ms", kMinute.value / 1'000'000}})
                .at("ok"));
        if (!world_.turn_until([&] { return away(); }, kMinute)) {
            return false;
        }
        bool meanwhile = true;
        std::uint64_t deaf = 0;
        for (int quarter = 0; quarter < kQuarters && meanwhile; ++quarter) {
            meanwhile = others_trade();
            if (quarter == 1 && meanwhile) {
                expect_kill_gets_through(world_, killed);
                meanwhile = away();
                deaf = world_.fills()[account_];
            }
        }
        const std::uint64_t at_end = world_.fills()[account_];
        meanwhile = meanwhile && away();
        EXPECT_TRUE(!meanwhile || at_end == deaf) << "it was not deaf: this proves nothing";
        EXPECT_TRUE(world_.turn_until([&] { return !away(); }, kReturnMax))
            << "its terminal did not come back";
        return meanwhile;
    }

private:
    static constexpr Nanos kMinute = seconds(60);
    static constexpr Nanos kReturnMax = seconds(120);
    static constexpr int kQuarters = 4;
    static constexpr Nanos kQuarter = seconds(13);  // and what it takes to see the last fills

    [[nodiscard]] bool away() const {
        const SessionEntry& s = world_.segment().session(AccountId{account_});
        return s.busy.load(std::memory_order_relaxed) != 0 ||
               s.link.load(std::memory_order_relaxed) != static_cast<std::uint32_t>(LinkState::Up);
    }
    /// @return false if the minute ended first. Its end is looked at last: fills that were seen
    /// before it were made before it.
    bool others_trade() {
        const std::uint64_t before = sum_of(world_.fills(), account_);
        const auto filled = [&] { return sum_of(world_.fills(), account_) >= before + 30; };
        world_.turn_for(kQuarter);
        (void)world_.turn_until([&] { return !away() || filled(); }, kReturnMax);
        return filled() && away();
    }

    World& world_;
    std::uint64_t login_;
    std::uint32_t account_ = 0;
};

TEST(ChaosPressure, TradesOnWhileOneTerminalIsBusyForAMinute) {
    World world{WorldOptions{}};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(2));
    const auto& accounts = world.pipeline().plan().accounts;
    BusyMinute minute{world, accounts.front()};
    constexpr int kTries = 4;
    const int wanted = std::getenv("MILLRACE_LONG") != nullptr ? 3 : 1;
    int passed = 0;
    for (int i = 0; i < kTries + wanted && passed < wanted; ++i) {
        passed += minute.passes(accounts.back().name) ? 1 : 0;
    }
    EXPECT_EQ(passed, wanted) << "the others stand still";
    expect_good_end(world);
}

/// A strategy in shared memory, which needs no ingress: opens on the group `hedging`.
class Beside {
public:
    explicit Beside(World& world) : world_{world} {
        EXPECT_EQ(strategy_.open(world.pipeline().segment_path(), "beside"), MR_OK)
            << client::Strategy::error();
        EXPECT_EQ(strategy_.group("hedging", open_.group), MR_OK);
        EXPECT_EQ(strategy_.symbol("EURUSD", open_.symbol), MR_OK);
        open_.action = MR_OPEN;
        open_.volume = client::fixed("0.10");
    }
    /// @return on how many accounts one more signal of it is filled.
    std::uint32_t trades() {
        ++open_.id.lo;
        open_.id.hi = 0xBE51DE00 + open_.id.lo;  // an order's comment has the first 80 bits
        if (strategy_.submit(open_) != MR_OK) {
            ADD_FAILURE() << client::Strategy::error();
            return 0;
        }
        bool over = false;
        std::uint32_t filled = 0;
        (void)world_.turn_until(
            [&] {
                strategy_.poll([&](const client::Result& r) {
                    if (r.kind == MR_ACCEPTED) {
                        world_.count_other({r.signal.hi, r.signal.lo});
                    }
                    over = over || r.kind == MR_SIGNAL_DONE || r.kind == MR_REFUSED;
                    filled += r.kind == MR_SIGNAL_DONE ? r.filled : 0;
                });
                return over;
            },
            kSlowMachine);
        return filled;
    }

private:
    World& world_;
    client::Strategy strategy_;
    client::Signal open_{};
};

TEST(ChaosPressure, TradesOnWhileIngressIsDead) {
    WorldOptions options;
    options.edits = {{"\"sources\": [", R"("sources": [{"name": "beside", "kind": "shm"}, )"}};
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(2));
    Beside beside{world};
    world.pipeline().supervisor().signal(SIGKILL);
    ASSERT_TRUE(world.pipeline().supervisor().wait(seconds(10)));
    ASSERT_TRUE(world.kill_stage(StageId::Ingress));
    world.turn_for(seconds(1));
    // Neither supervisor nor ingress are needed for who comes another way, nor for the way out.
    // (A slow machine may have no fresh price now and then: another signal, then.)
    const std::int64_t until = monotonic_ns() + kSlowMachine.value;
    int whole = 0;
    while (whole < 10 && monotonic_ns() < until) {
        whole += beside.trades() == 3 ? 1 : 0;
    }
    EXPECT_EQ(whole, 10) << "signals that all accounts of the group carried out";
    expect_kill_gets_through(world, world.pipeline().plan().accounts.back().name);
    EXPECT_FALSE(world.source().connected()) << "ingress was there: this proves nothing";
    ASSERT_EQ(world.heal(), "");
    ASSERT_TRUE(world.turn_until([&] { return world.source().connected(); }, seconds(60)));
    world.turn_for(seconds(2));
    expect_good_end(world);
}

TEST(ChaosPressure, LetsTheKillSwitchThroughWhileTheDiskIsStopped) {
    WorldOptions options;
    options.edits = {{"\"accounts_max\"", "\"restart\": {\"stuck_ms\": 60000}, \"accounts_max\""}};
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    world.turn_for(seconds(2));
    ASSERT_TRUE(world.kill_stage(StageId::Journal, SIGSTOP));
    world.turn_for(seconds(1));
    std::string output;
    EXPECT_EQ(world.command({"kill", "--all", "--cancel"}, kCommandMax, &output), 0) << output;
    for (const auto& [account, login] : world.pipeline().logins()) {
        // Acquire: pairs with the broker stage's release, once it has told the terminals.
        EXPECT_TRUE(world.turn_until(
            [&] {
                return world.segment()
                           .session(AccountId{account})
                           .killed.load(std::memory_order_acquire) != 0;
            },
            seconds(10)))
            << "login " << login;
    }
    world.turn_for(seconds(3));
    ASSERT_TRUE(world.kill_stage(StageId::Journal, SIGCONT));
    EXPECT_EQ(world.command({"unkill", "--all"}, kCommandMax, &output), 0) << output;
    const std::uint64_t before = sum_of(world.fills(), kNoId);
    EXPECT_TRUE(
        world.turn_until([&] { return sum_of(world.fills(), kNoId) > before + 30; }, seconds(60)))
        << "no trading after the heal";
    expect_good_end(world);
}

/// A source that logs in by hand, sends, and never reads.
class DeafSource {
public:
    DeafSource(World& world, const std::string& name, const std::vector<std::byte>& key) {
        auto fd = net::begin_connect("127.0.0.1", world.pipeline().plan().signals_port);
        fd_ = std::move(fd).value();
        const int small = 4096;
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        log_in(world, name, key);
    }

    /// A close of a signal that nobody knows: it goes to the engine and is refused there.
    /// @return false if the connection takes no more.
    bool send(std::uint64_t n) {
        signal_wire::Submit s{};
        s.id_hi = 0xDEAF;
        s.id_lo = n;
        s.target_hi = 0xDEAD;
        s.target_lo = n;
        std::memcpy(s.group, "all", 3);
        std::memcpy(s.symbol, "EURUSD", 6);
        s.action = static_cast<std::uint8_t>(SignalAction::Close);
        return put(signal_wire::FrameType::Submit, n, s);
    }

private:
    void log_in(World& world, const std::string& name, const std::vector<std::byte>& key) {
        wire::FrameReader reader{signal_wire::kVersion};
        const wire::Frame* frame = nullptr;
        ASSERT_TRUE(world.turn_until(
            [&] {
                const auto room = reader.space();
                const ssize_t n = ::recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT);
                reader.filled(n > 0 ? static_cast<std::size_t>(n) : 0);
                const auto next = reader.next();
                frame = next ? next.value() : nullptr;
                return frame != nullptr;
            },
            seconds(20)));
        const auto challenge = frame->as<signal_wire::Challenge>();
        ASSERT_TRUE(challenge.ok());
        signal_wire::Login login{};
        name.copy(login.source, sizeof login.source);
        wire::hmac_sha256(key, std::as_bytes(std::span{challenge.value().nonce}),
                          std::as_bytes(std::span{login.source}), login.mac);
        ASSERT_TRUE(put(signal_wire::FrameType::Login, 0, login));
    }

    /// Whole frames only: what the socket takes a part of is finished before the next one.
    template <class Body>
    bool put(signal_wire::FrameType type, std::uint64_t seq, const Body& body) {
        if (rest_.empty()) {
            std::byte frame[wire::kFrameBytes<Body>];
            const std::size_t n = wire::encode(frame, type, signal_wire::kVersion, seq, body);
            rest_.assign(frame, frame + n);
        }
        const ssize_t sent =
            ::send(fd_.get(), rest_.data(), rest_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        rest_.erase(rest_.begin(), rest_.begin() + (sent > 0 ? sent : 0));
        return rest_.empty();
    }

    net::Fd fd_;
    std::vector<std::byte> rest_;
};

TEST(ChaosPressure, TradesOnWhileOneSourceNeverReadsItsResults) {
    const std::string key_hex(64, 'd');
    WorldOptions options;
    options.edits = {{"\"sources\": [",
                      R"("sources": [{"name": "deaf", "kind": "tcp", "ack": "disk", "key": ")" +
                          key_hex + "\"}, "},
                     // So that it is full soon.
                     {"\"accounts_max\"", "\"rings\": {\"results\": 1024}, \"accounts_max\""}};
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    DeafSource deaf{world, "deaf", std::vector<std::byte>(32, std::byte{0xDD})};
    const std::uint64_t before = sum_of(world.fills(), kNoId);
    std::uint64_t sent = 0;
    const std::int64_t until = monotonic_ns() + seconds(8).value;
    while (monotonic_ns() < until) {
        for (int i = 0; i < 50 && deaf.send(sent + 1); ++i) {
            ++sent;
        }
        world.turn();
    }
    // Far more than one results ring and all socket buffers hold.
    EXPECT_GT(sent, 500U);
    std::printf("the deaf source sent %lu signals\n", static_cast<unsigned long>(sent));
    EXPECT_TRUE(
        world.turn_until([&] { return sum_of(world.fills(), kNoId) > before + 30; }, kSlowMachine))
        << "the other source stands still";
    expect_kill_gets_through(world, world.pipeline().plan().accounts.back().name);
    expect_good_end(world);
}

demo::Planned market_order(market::Random& random, const char* group, bool buy) {
    demo::Planned p;
    p.request.id = demo::random_id(random);
    p.request.group = group;
    p.request.symbol = "EURUSD";
    p.request.side = buy ? Side::Buy : Side::Sell;
    p.request.volume = Lots{kScale / 10};
    return p;
}

constexpr std::size_t kUnknown = SIZE_MAX;  // the broker has not answered: neither many nor none

std::size_t positions_of(World& world, std::uint64_t login) {
    const nlohmann::json answer = world.control({{"cmd", "positions"}, {"login", login}});
    return answer.at("ok").get<bool>() ? answer.at("positions").size() : kUnknown;
}

/// Accounts on which each order is a position of its own, or (false) the others.
std::vector<std::uint64_t> logins_of(World& world, bool hedging) {
    std::vector<std::uint64_t> logins;
    for (const demo::AccountPlan& a : world.pipeline().plan().accounts) {
        if ((a.margin_mode == MarginMode::Hedging) == hedging) {
            logins.push_back(a.login);
        }
    }
    return logins;
}

std::size_t hedging_positions(World& world) {
    std::size_t sum = 0;
    for (const std::uint64_t login : logins_of(world, true)) {
        const std::size_t open = positions_of(world, login);
        if (open == kUnknown) {
            return kUnknown;
        }
        sum += open;
    }
    return sum;
}

/// Market orders on the hedging accounts until there are `count` positions: one that is refused or
/// out of time on a slow machine is made up for. @return how many there are.
std::size_t open_positions(World& world, std::size_t count) {
    market::Random random{77};
    const std::size_t accounts = logins_of(world, true).size();
    const std::int64_t until = monotonic_ns() + seconds(420).value;
    std::size_t open = 0;
    while (open < count && monotonic_ns() < until) {
        const std::size_t signals = (count - open + accounts - 1) / accounts;
        std::size_t sent = 0;
        const bool done = world.turn_until(
            [&] {
                // A window: the quotes stay fresh and no queue overflows.
                for (; sent < signals && world.source().lives().open_count() < 40; ++sent) {
                    if (!world.source().send(market_order(random, "hedging", sent % 2 == 0))) {
                        break;
                    }
                }
                world.source().ask_again();
                return sent == signals && world.source().settled();
            },
            seconds(420));
        EXPECT_TRUE(done) << sent << " of " << signals << " sent, "
                          << world.source().lives().open_count() << " open";
        const std::size_t now = hedging_positions(world);
        open = now == kUnknown ? open : now;
    }
    return open;
}

/// An account on which everything goes on while others are flattened: one order after the other.
class TradesBeside {
public:
    explicit TradesBeside(World& world) : world_{world} {
        for (const auto& [account, login] : world.pipeline().logins()) {
            const auto rest = logins_of(world, false);
            if (std::count(rest.begin(), rest.end(), login) > 0) {
                accounts_.push_back(account);
            }
        }
        before_ = fills();
    }
    void turn() {
        if (world_.source().settled()) {
            (void)world_.source().send(market_order(random_, "netting", ++sent_ % 2 == 0));
        }
    }
    [[nodiscard]] std::uint64_t new_fills() const { return fills() - before_; }
    /// All that it was told of there.
    [[nodiscard]] std::uint64_t fills() const {
        const auto all = world_.fills();
        std::uint64_t sum = 0;
        for (const std::uint32_t account : accounts_) {
            sum += all.contains(account) ? all.at(account) : 0;
        }
        return sum;
    }

private:
    World& world_;
    market::Random random_{78};
    std::vector<std::uint32_t> accounts_;
    std::uint64_t before_ = 0;
    std::uint64_t sent_ = 0;
};

TEST(ChaosPressure, FlattensThousandsOfPositionsAtOneWordWhileTheRestTradesOn) {
    const char* given = std::getenv("MILLRACE_CHAOS_POSITIONS");
    const std::size_t wanted = given == nullptr ? kPositions : std::strtoull(given, nullptr, 10);
    WorldOptions options;
    options.accounts = 8;
    World world{options};
    ASSERT_EQ(world.start(), "") << world.log();
    world.hush(true);
    const std::int64_t began = monotonic_ns();
    const std::size_t open = open_positions(world, wanted);
    EXPECT_GE(open, wanted);
    const std::int64_t word = monotonic_ns();
    std::string output;
    EXPECT_EQ(world.command({"kill", "--group", "hedging", "--flatten"}, kCommandMax, &output), 0)
        << output;
    const std::int64_t told = monotonic_ns();
    TradesBeside rest{world};
    // How many come before the last position is closed is the machine's speed: said, not asserted.
    std::uint64_t meanwhile = 0;
    EXPECT_TRUE(world.turn_until(
        [&] {
            rest.turn();
            if (rest.new_fills() == meanwhile) {
                return false;  // the broker closes and is asked with one thread: ask it seldom
            }
            meanwhile = rest.new_fills();
            return hedging_positions(world) == 0;
        },
        kSlowMachine));
    const std::int64_t flat = monotonic_ns();
    EXPECT_TRUE(world.turn_until([&] { return rest.turn(), rest.new_fills() >= 40; }, kSlowMachine))
        << "the rest stands still";
    const auto s = [](std::int64_t from, std::int64_t to) {
        return static_cast<double>(to - from) / 1e9;
    };
    // Relaxed: a count to wait for. What is open then is the rest's: one a fill at most.
    const auto& count = world.segment().core().open_positions;
    EXPECT_TRUE(world.turn_until(
        [&] { return count.load(std::memory_order_relaxed) <= rest.fills(); }, kSlowMachine))
        << "the engine still counts " << count.load(std::memory_order_relaxed);
    std::printf(
        "%zu positions opened in %.1f s; kill --group --flatten: told after %.2f s, flat at "
        "the broker after %.2f s and %lu orders of the rest, in the engine after %.2f s\n",
        open, s(began, word), s(word, told), s(word, flat), static_cast<unsigned long>(meanwhile),
        s(word, monotonic_ns()));
    EXPECT_EQ(world.command({"unkill", "--group", "hedging"}, kCommandMax, &output), 0) << output;
    expect_good_end(world);
}

}  // namespace
}  // namespace millrace::chaos
