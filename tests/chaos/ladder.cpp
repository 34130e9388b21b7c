#include "tests/chaos/ladder.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "persist/sqlite_db.h"
#include "shm/clock.h"
#include "tests/not_proven.h"

namespace millrace::chaos {
namespace {

namespace fs = std::filesystem;

std::uint64_t all_fills(const World& world) {
    std::uint64_t sum = 0;
    for (const auto& [account, count] : world.fills()) {
        sum += count;
    }
    return sum;
}

std::uint64_t times_as_many() {
    return std::getenv("MILLRACE_LONG") == nullptr ? 1 : 20;
}

}  // namespace

std::set<SignalId> known_to(const std::string& path) {
    std::set<SignalId> known;
    SqliteDb db;
    EXPECT_TRUE(db.open(path, 5'000, SqliteOpen::ReadOnly).ok()) << path;
    auto rows = db.prepare("SELECT id FROM signals WHERE reason = 0");
    while (rows.ok()) {
        const auto row = rows.value().row();
        if (!row.ok() || !row.value()) {
            break;
        }
        SignalId id;
        const auto bytes = rows.value().column_blob(0);
        for (std::size_t i = 0; i < 16 && bytes.size() == 16; ++i) {
            std::uint64_t& half = i < 8 ? id.hi : id.lo;
            half = half << 8U | static_cast<std::uint64_t>(bytes[i]);
        }
        known.insert(id);
    }
    return known;
}

void Ladder::begin(std::vector<Edit> edits) {
    WorldOptions o;
    o.keep_stamps = true;
    o.edits = std::move(edits);
    world_ = std::make_unique<World>(o);
    ASSERT_EQ(world_->start(), "") << world_->log();
}

void Ladder::trade(std::uint64_t more) {
    const std::uint64_t fills = all_fills(*world_) + more * times_as_many();
    ASSERT_TRUE(world_->turn_until([&] { return all_fills(*world_) >= fills; },
                                   seconds(180) + seconds(30 * static_cast<int>(times_as_many()))))
        << world_->log();
}

void Ladder::await_stored(const AtomicU64& cell) {
    const std::uint64_t applied = world_->segment().core().completed.load();
    ASSERT_TRUE(world_->turn_until([&] { return cell.load() >= applied; }, kLong)) << world_->log();
}

void Ladder::lose_log() {
    world_->kill_everything();
    ASSERT_TRUE(fs::remove(world_->pipeline().segment_path()));
    fs::remove_all(world_->workspace().path("journal"));
    world_->lose_log();
    lost_wall_ = wall_ns();
    lost_ns_ = monotonic_ns();
}

void Ladder::expect_no_start_beside(const std::string& store) {
    std::string refused;
    const std::int64_t began = monotonic_ns();
    std::size_t at = std::string::npos;
    // A store that does not answer within 2 s is one of which `up` knows nothing: refused too.
    do {
        EXPECT_EQ(world_->command({"up"}, kLong, &refused), 1) << refused;
        at = refused.find(store);
        at = at != std::string::npos ? refused.find("has followed one up to record", at) : at;
    } while (at == std::string::npos && !HasFailure() && monotonic_ns() < began + kLong.value);
    lost_ns_ += monotonic_ns() - began;  // no part of the way back
    EXPECT_NE(at, std::string::npos) << store << " in: " << refused;
    EXPECT_FALSE(fs::exists(world_->workspace().path("journal/ids.json"))) << "it has begun";
}

int Ladder::recover(const std::vector<std::string>& words) {
    std::vector<std::string> all{"recover"};
    all.insert(all.end(), words.begin(), words.end());
    const std::int64_t began = monotonic_ns();
    const int status = world_->command(all, kLong, &said_);
    command_ns_ = monotonic_ns() - began;
    return status;
}

/// Netting accounts wait for somebody who has compared their positions: here nobody traded but us.
/// The pipeline is asked until it is there to be told.
demo::Child Ladder::resume_what_is_paused() {
    const fs::path tools = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
    std::string names;
    for (const demo::AccountPlan& account : world_->pipeline().plan().accounts) {
        const bool paused =
            said_.find("account " + account.name + " is paused") != std::string::npos ||
            said_.find("account " + account.name + " stays reduce-only") != std::string::npos;
        names += paused ? " " + account.name : "";
    }
    EXPECT_FALSE(names.empty()) << "netting accounts with positions: " << said_;
    std::string why;
    auto child = demo::Child::spawn(
        {"/bin/sh", "-c",
         "until " + (tools / "millrace/millrace").string() + " account resume" + names + " -c " +
             world_->workspace().path("millrace.json") + "; do sleep 0.1; done"},
        world_->workspace().path("resume.log"), why);
    EXPECT_TRUE(child.ok()) << why;
    return std::move(child.value());
}

void Ladder::go_on(const char* rung, const char* asked, const std::set<SignalId>& known) {
    const demo::Child resumes = resume_what_is_paused();
    ASSERT_EQ(world_->start_again(), "") << world_->log();
    print_cost(rung, asked, known);
}

void Ladder::print_cost(const char* rung, const char* asked,
                        const std::set<SignalId>& known) const {
    std::size_t lost = 0;
    std::int64_t oldest = lost_wall_;
    for (const auto& [id, life] : world_->source().lives().all()) {
        if (life.answer == demo::Answer::Accepted && life.acked.value < lost_wall_ &&
            !known.contains(id)) {
            ++lost;
            oldest = std::min(oldest, life.acked.value);
        }
    }
    std::printf(
        "rung %s: RTO %.2f s from the loss until it trades, commands included (recover alone "
        "%.2f s); RPO %.0f ms, %zu acknowledged signals. The documents ask for %s\n",
        rung, static_cast<double>(monotonic_ns() - lost_ns_) / 1e9,
        static_cast<double>(command_ns_) / 1e9, static_cast<double>(lost_wall_ - oldest) / 1e6,
        lost, asked);
}

void Ladder::send_everything_again() {
    std::vector<demo::Planned> again;
    for (const auto& [id, life] : world_->source().lives().all()) {
        demo::Planned planned;
        planned.request = life.request;
        planned.purpose = life.purpose;
        planned.is_repeat = true;
        again.push_back(planned);
    }
    for (const demo::Planned& planned : again) {
        ASSERT_TRUE(world_->turn_until([&] { return world_->source().send(planned).ok(); }, kLong));
    }
}

void Ladder::judge(const std::set<SignalId>& known) {
    send_everything_again();
    trade(30);
    const Judgement judgement = world_->finish(kLong);
    EXPECT_EQ(judgement.verdict.count(demo::Wrong::Doubled), 0U) << describe(judgement, *world_);
    // What may have gone wrong is what only the lost log knew, and nothing else.
    for (const demo::Problem& p : judgement.verdict.problems) {
        EXPECT_FALSE(known.contains(p.signal)) << to_string(p.wrong) << ": " << p.text;
    }
    EXPECT_GIVEN(judgement.book_executions > 0) << "nothing was traded";
    for (const std::string& problem : judgement.problems) {
        for (const char* never : {"replica computes", "in doubt", "have no end",
                                  "not every account", "stop was not clean"}) {
            EXPECT_EQ(problem.find(never), std::string::npos) << problem;
        }
    }
}

}  // namespace millrace::chaos
