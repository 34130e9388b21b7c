// Goal: a disk that stops answering stops entries and acknowledgements, and nothing else: no loss,
// no deadlock, the kill switch gets through, and SIGTERM ends what can be ended. Method: the whole
// pipeline under load, its journal on a file system of its own, which is frozen: whoever writes to
// it waits in the kernel, out of reach even of SIGKILL; or is filled to its last block. The
// source's log and the broker's books tell.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/chaos/frozen_disk.h"
#include "tests/chaos/way_out.h"
#include "tests/chaos/world.h"
#include "tests/not_proven.h"
#include "tools/demo_run/evidence.h"
#include "tools/millrace/process.h"
#include "tools/simbroker/append_file.h"
#include "tools/simbroker/books.h"

namespace millrace::chaos {
namespace {

constexpr Nanos kCommandMax = seconds(180);
constexpr Nanos kSlowMachine = seconds(180);
constexpr Nanos kFullMax = seconds(400);  // at the pace at which the machine trades
constexpr std::size_t kSignals = 40;      // that meet the stopped disk
const std::string kShortDrain = "\"restart\": {\"drain_ms\": 2000}";

std::set<SignalId> signals_of(World& world) {
    std::set<SignalId> ids;
    for (const auto& [id, life] : world.source().lives().all()) {
        ids.insert(id);
    }
    return ids;
}

/// Valid openings that were sent after `before` was taken.
std::vector<SignalId> openings_since(World& world, const std::set<SignalId>& before) {
    std::vector<SignalId> ids;
    for (const auto& [id, life] : world.source().lives().all()) {
        if (!before.contains(id) && life.purpose == demo::Purpose::Trade &&
            life.request.action == SignalAction::Open) {
            ids.push_back(id);
        }
    }
    return ids;
}

/// How many of these the source was told are accepted: at level `disk`, as it asks for.
std::size_t acked(World& world, const std::vector<SignalId>& ids) {
    return static_cast<std::size_t>(std::count_if(ids.begin(), ids.end(), [&](const SignalId& id) {
        return world.source().lives().find(id)->answer == demo::Answer::Accepted;
    }));
}

/// How many of these the broker has an order for, by its own books.
std::size_t at_the_broker(World& world, const std::vector<SignalId>& ids) {
    std::set<std::string> comments;
    std::transform(ids.begin(), ids.end(), std::inserter(comments, comments.end()),
                   demo::comment_of);
    std::set<std::string> found;
    const auto bytes = sim::read_file(world.pipeline().books_path());
    EXPECT_TRUE(bytes);
    EXPECT_TRUE(sim::scan_books(bytes.value(), [&](const sim::BookRecord& r) {
        const std::string comment{view(r.comment)};
        if (r.kind == sim::BookKind::Order && comments.contains(comment)) {
            found.insert(comment);
        }
    }));
    return found.size();
}

std::uint64_t fills_of_all(World& world) {
    std::uint64_t sum = 0;
    for (const auto& [account, count] : world.fills()) {
        sum += count;
    }
    return sum;
}

class ChaosStoppedDisk : public ::testing::Test {
protected:
    /// @param drain how long the stages have to drain at a stop.
    /// @param spares how many files are prepared ahead, "" for the default.
    void start(const std::string& drain, const std::string& spares = "") {
        WorldOptions options;
        // Entries that wait for the disk may fill an account's queue; then closes find no place
        // in it. (The kill switch does: it passes no queue.)
        options.exits_excused = {Reason::QueueFull};
        options.journal_dir = disk_->folder();
        // The disk is small: that is no reason to remove files.
        options.edits = WayOut::configured();
        options.edits.push_back({"\"file_mib\"", spares + "\"free_floor_mib\": 0, \"file_mib\""});
        options.edits.push_back({"\"accounts_max\"", drain + "\"accounts_max\""});
        world_ = std::make_unique<World>(options);
        ASSERT_EQ(world_->start(), "") << world_->log();
        world_->turn_for(seconds(2));
    }
    void SetUp() override {
        std::string why;
        disk_ = FreezableDisk::make(why);
        if (disk_ == nullptr) {
            GTEST_SKIP() << "SKIPPED: " << why
                         << "; needs root, loop devices and mkfs.ext4. NOT TESTED HERE: a disk "
                            "that stops (ChaosPressure stops the journal's process)";
        }
    }
    /// Until enough signals wait for the disk.
    void send_to_the_stopped_disk() {
        const CoreCells& core = world_->segment().core();
        EXPECT_GIVEN(world_->turn_until(
            [&] {
                return openings_since(*world_, before_).size() >= kSignals &&
                       core.journal_seq.load() > core.durable.load();
            },
            kSlowMachine))
            << "nothing waits for the disk";
    }
    void expect_no_ack_and_no_entry() {
        const auto ids = openings_since(*world_, before_);
        EXPECT_EQ(acked(*world_, ids), 0U) << "of " << ids.size();
        EXPECT_EQ(at_the_broker(*world_, ids), 0U) << "of " << ids.size();
    }
    /// The next `up` gives each stage the time to drain that a slow machine takes.
    void give_time_to_drain() const {
        const std::string path = world_->workspace().path("millrace.json");
        std::stringstream text;
        text << std::ifstream{path}.rdbuf();
        std::string config = text.str();
        ASSERT_NE(config.find(kShortDrain), std::string::npos);
        config.replace(config.find(kShortDrain), kShortDrain.size(),
                       "\"restart\": {\"drain_ms\": 60000}");
        std::ofstream{path} << config;
    }
    void expect_good_end() {
        const Judgement judgement = world_->finish();
        EXPECT_TRUE(judgement.good()) << describe(judgement, *world_);
        const auto ids = openings_since(*world_, before_);
        EXPECT_GT(at_the_broker(*world_, ids), 0U) << "nothing went on";
    }

    std::unique_ptr<FreezableDisk> disk_;  // outlives those who write to it
    std::unique_ptr<World> world_;
    std::set<SignalId> before_;  // signals sent before the disk stopped
    bool full_ = false;          // it is to be kept full
};

TEST_F(ChaosStoppedDisk, EntersAndAcknowledgesNothingAndLetsTheKillSwitchThrough) {
    start("");
    WayOut way_out{*world_};
    ASSERT_TRUE(way_out.opens()) << world_->log();
    std::string output;
    {
        const Frozen frozen{*disk_};
        ASSERT_TRUE(frozen.ok());
        before_ = signals_of(*world_);
        way_out.leaves();
        send_to_the_stopped_disk();
        EXPECT_TRUE(way_out.is_out()) << world_->log();
        way_out.expect_entries_refused("only closes and cancels: the journal is down");
        way_out.expect_no_ack_and_no_entry();
        expect_no_ack_and_no_entry();
        EXPECT_EQ(world_->command({"kill", "--all", "--cancel"}, kCommandMax, &output), 0)
            << output;
        for (const auto& [account, login] : world_->pipeline().logins()) {
            // Acquire: pairs with the broker stage's release, once it has told the terminals.
            const auto& killed = world_->segment().session(AccountId{account}).killed;
            EXPECT_TRUE(world_->turn_until(
                [&] { return killed.load(std::memory_order_acquire) != 0; }, kCommandMax))
                << "login " << login;
        }
        expect_no_ack_and_no_entry();
    }
    way_out.expect_all_answered_and_nothing_twice();
    EXPECT_EQ(world_->command({"unkill", "--all"}, kCommandMax, &output), 0) << output;
    const std::uint64_t fills = fills_of_all(*world_);
    EXPECT_TRUE(
        world_->turn_until([&] { return fills_of_all(*world_) > fills + 30; }, kSlowMachine))
        << "no trading after the heal";
    expect_good_end();
}

TEST_F(ChaosStoppedDisk, LetsTheKillSwitchThroughWhereItsFileSystemHasShutDown) {
    start("");
    if (!disk_->shut_down()) {
        GTEST_SKIP() << "SKIPPED: this kernel's ext4 cannot be shut down: " << std::strerror(errno);
    }
    const std::string lock = disk_->folder() + "/locks/admin.broker.lock";
    ASSERT_GIVEN(::open(lock.c_str(), O_RDWR | O_CLOEXEC) < 0) << "it has not shut down";
    std::string output;
    EXPECT_EQ(world_->command({"kill", "--all", "--cancel"}, kCommandMax, &output), 0) << output;
    EXPECT_NE(output.find("broker stage told"), std::string::npos) << output;
    EXPECT_NE(output.find("engine told"), std::string::npos) << output;
    for (const auto& [account, login] : world_->pipeline().logins()) {
        // Acquire: pairs with the broker stage's release, once it has told the terminals.
        const auto& killed = world_->segment().session(AccountId{account}).killed;
        EXPECT_TRUE(world_->turn_until([&] { return killed.load(std::memory_order_acquire) != 0; },
                                       kCommandMax))
            << "login " << login;
    }
}

TEST_F(ChaosStoppedDisk, ThatIsFullRefusesEntriesToTheirSourceAndGoesOnWhenThereIsRoom) {
    start("", "\"spare_files\": 0, ");  // little is left to write before the end of the disk
    const CoreCells& core = world_->segment().core();
    WayOut way_out{*world_, [this] {
                       if (full_) {
                           disk_->fill();
                       }
                   }};
    ASSERT_TRUE(way_out.opens()) << world_->log();
    full_ = true;
    // A journal that starts again removes what it had prepared: the disk is kept full meanwhile.
    const auto while_full = [&](const std::function<bool()>& done) {
        return world_->turn_until(
            [&] {
                disk_->fill();
                return done();
            },
            kFullMax);
    };
    ASSERT_TRUE(while_full([&] {
        // Acquire: pairs with the journal stage's release of its state.
        return static_cast<JournalState>(core.journal_state.load(std::memory_order_acquire)) ==
               JournalState::Full;
    })) << world_->log();
    before_ = signals_of(*world_);
    way_out.leaves();
    EXPECT_TRUE(way_out.is_out()) << world_->log();
    const std::uint64_t refused = world_->source().client_stats().retries;
    EXPECT_TRUE(while_full([&] {
        return world_->source().client_stats().retries >= refused + kSignals &&
               openings_since(*world_, before_).size() >= kSignals;
    })) << "entries are not refused to their source";
    EXPECT_TRUE(while_full([&] {
        return world_->log().find("ALERT the journal's disk is full") != std::string::npos;
    })) << world_->log();
    std::string output;
    EXPECT_EQ(world_->command({"kill", "--all", "--cancel"}, kCommandMax, &output), 0) << output;
    for (const auto& [account, login] : world_->pipeline().logins()) {
        // Acquire: pairs with the broker stage's release, once it has told the terminals.
        const auto& killed = world_->segment().session(AccountId{account}).killed;
        EXPECT_TRUE(while_full([&] { return killed.load(std::memory_order_acquire) != 0; }))
            << "login " << login;
    }
    full_ = false;
    disk_->make_room();
    way_out.expect_all_answered_and_nothing_twice();
    EXPECT_EQ(world_->command({"unkill", "--all"}, kCommandMax, &output), 0) << output;
    const std::uint64_t fills = fills_of_all(*world_);
    EXPECT_TRUE(world_->turn_until([&] { return fills_of_all(*world_) > fills + 30; }, kFullMax))
        << "no trading after there was room" << world_->log();
    expect_good_end();
}

TEST_F(ChaosStoppedDisk, TellsAtAStartWhatItWaitsForAndGoesOnWhenTheDiskAnswers) {
    start("");
    before_ = signals_of(*world_);
    demo::Child& supervisor = world_->pipeline().supervisor();
    supervisor.signal(SIGKILL);
    ASSERT_TRUE(world_->turn_until([&] { return !supervisor.running(); }, kSlowMachine));
    {
        const Frozen frozen{*disk_};
        ASSERT_TRUE(frozen.ok());
        ASSERT_EQ(world_->heal(), "");
        EXPECT_TRUE(world_->turn_until(
            [&] {
                return world_->log().find("still seeing whether the journal directory") !=
                       std::string::npos;
            },
            kSlowMachine))
            << world_->log();
    }
    EXPECT_TRUE(
        world_->turn_until([&] { return world_->pipeline().accounts_ready(); }, kSlowMachine));
    expect_good_end();
}

TEST_F(ChaosStoppedDisk, DoesNotKeepSigtermFromEndingTheRestAndSayingWhatIsLeft) {
    start(kShortDrain + ", ");
    demo::Child& supervisor = world_->pipeline().supervisor();
    {
        const Frozen frozen{*disk_};
        ASSERT_TRUE(frozen.ok());
        before_ = signals_of(*world_);
        send_to_the_stopped_disk();
        const StageEntry& journal = world_->segment().stage(StageId::Journal);
        const ProcessId stuck{static_cast<int>(journal.pid.load()), journal.start_time.load()};
        supervisor.signal(SIGTERM);
        // Each stage has its bound; what matters is that there is an end.
        ASSERT_TRUE(world_->turn_until([&] { return !supervisor.running(); }, seconds(120)))
            << world_->log();
        EXPECT_EQ(supervisor.how_it_ended(), "exit status 5");
        EXPECT_GIVEN(stuck.alive()) << "the disk held up nobody";
        expect_no_ack_and_no_entry();
    }
    const std::string log = world_->log();
    EXPECT_NE(log.find("it waits in the kernel, as for a disk"), std::string::npos) << log;
    EXPECT_NE(log.find("; no answer from " + disk_->folder()), std::string::npos) << log;
    EXPECT_NE(log.find("are not on disk, only in the segment"), std::string::npos) << log;
    give_time_to_drain();
    ASSERT_EQ(world_->heal(), "");
    ASSERT_TRUE(world_->turn_until(
        [&] { return world_->source().connected() && world_->pipeline().accounts_ready(); },
        kSlowMachine))
        << world_->log();
    expect_good_end();
}

}  // namespace
}  // namespace millrace::chaos
