// Goal: verify names the very promise that is broken, of a segment and of a journal directory, and
// nothing else. Method: break one thing at a time in a dead pipeline's files.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "persist/journal_format.h"
#include "tests/inspect/cli.h"
#include "tests/inspect/fixture.h"
#include "tests/recovery/pipeline.h"

namespace millrace::inspect {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// Names of the checks that do not hold.
std::vector<std::string> broken_checks(const json& report) {
    std::vector<std::string> out;
    for (const json& c : report["checks"]) {
        if (c["result"] == "BROKEN") {
            out.push_back(c["check"]);
        }
    }
    return out;
}

class VerifySegment : public SegmentFixture {
protected:
    void expect_broken(const std::string& check, const std::string& detail) {
        const json j = run_json("verify", {"verify", path_}, 1);
        const auto broken = broken_checks(j);
        ASSERT_EQ(broken.size(), 1U) << j.dump(1);
        EXPECT_EQ(broken[0], check) << j.dump(1);
        EXPECT_NE(j.dump().find(detail), std::string::npos) << j.dump(1);
    }
    RingControl<>& control(const char* ring) {
        return segment_->ring_control(segment_->find_ring(ring));
    }
};

TEST_F(VerifySegment, FindsAFreshOneAndOneWithTrafficSound) {
    EXPECT_EQ(run_json("verify", {"verify", path_})["sound"], true);
    JournalRecord r;
    for (std::uint64_t seq = 1; seq <= 40; ++seq) {
        r.seq = Sequence{seq};
        r.type = InputType::Continue;
        publish("journal", r);
        consume<JournalRecord>("journal", 1);
    }
    segment_->core().journal_seq = 40;
    segment_->core().reserved_seq = 1000;
    const Ran ok = run_cli({"verify", path_});
    EXPECT_EQ(ok.status, 0) << ok.out;
    EXPECT_NE(ok.out.find("sound"), std::string::npos);
}

TEST_F(VerifySegment, NamesTornAndLostAndDoubledSlots) {
    publish("orders", OrderSlot{}, 3);
    auto ring = segment_->ring<OrderSlot>("orders");
    consume<OrderSlot>("orders", 3);
    ring.slots[1].sequence = 5;  // belongs into slot 4, and does not lie there
    expect_broken("ring orders", "slot 1 holds word 5");
    ring.slots[1].sequence = 3;  // is in slot 2 as well
    expect_broken("ring orders", "duplicates 1");
    ring.slots[1].sequence = 10;  // a lap ahead
    expect_broken("ring orders", "gaps 1");
    ring.slots[1].sequence = 2;
    EXPECT_EQ(run_cli({"ring", "orders", path_, "--slots"}).status, 0);
    control("orders").read_cursor = 4;
    expect_broken("ring orders", "read cursor 4");
}

TEST_F(VerifySegment, NamesRecordsThatRepeatOrAreMissing) {
    OrderSlot order{};
    for (const std::uint64_t seq : {4U, 5U, 5U}) {
        order.value.seq = Sequence{seq};
        publish("orders", order);
    }
    expect_broken("ring orders", "repeats seq 5");
    consume<OrderSlot>("orders", 3);
    for (int i = 0; i < 8; ++i) {  // a lap later nothing of it is left
        order.value.seq = Sequence{6U + static_cast<unsigned>(i)};
        publish("orders", order);
        consume<OrderSlot>("orders", 1);
    }
    JournalRecord r;
    r.type = InputType::Continue;
    for (const std::uint64_t seq : {7U, 9U}) {
        r.seq = Sequence{seq};
        publish("journal", r);
    }
    segment_->core().journal_seq = 9;
    expect_broken("ring journal", "seq 9 after 7");
}

TEST_F(VerifySegment, NamesCellsThatContradictEachOther) {
    CoreCells& core = segment_->core();
    const auto with = [&](const std::string& check, const std::string& detail, AtomicU64& cell,
                          std::uint64_t value) {
        const std::uint64_t before = cell.load();
        cell = value;
        expect_broken(check, detail);
        cell = before;
    };
    with("cursors", "durable is at 5, beyond journal", core.durable, 5);
    with("completed", "is beyond the journal's 0", core.completed, 1);
    with("cursors", "replica is at 1, beyond durable at 0", core.replica_applied, 1);
    with("determinism", "differ from 77 on", core.replica_hash_mismatch, 77);
    with("reservations", "intent ids up to 9", core.next_intent, 9);
    with("reservations", "intent ids up to 1 ", core.next_intent, 1);
    with("accounts", "acked 4 beyond claimed 0", segment_->session(AccountId{2}).acked, 4);
    with("accounts", "account 2: done 4", segment_->session(AccountId{2}).done, 4);
    with("histograms", "1 values counted, 0 in buckets", segment_->hop(Hop::Gate).total, 1);
    core.journal_seq = 5;
    with("reservations", "sequence 5 used, only those below 5", core.reserved_seq, 5);
    segment_->shared_header().total_bytes += 4096;
    expect_broken("header", "total_bytes");
}

TEST_F(VerifySegment, CallsAReplicaThatStartsNotBehindItsOwnSnapshot) {
    CoreCells& core = segment_->core();
    core.journal_seq = core.durable = 60;
    core.reserved_seq = 1000;
    core.snapshot_seq = 40;
    core.replica_applied = 0;  // one began anew, or died before it knew
    const Ran starts = run_cli({"verify", path_});
    EXPECT_EQ(starts.status, 0) << starts.out;
    EXPECT_NE(starts.out.find("replica (not known)"), std::string::npos) << starts.out;
    core.replica_applied = 39;
    expect_broken("cursors", "snapshot is at 40, beyond replica at 39");
    core.replica_applied = 0;
    core.snapshot_seq = 61;
    expect_broken("cursors", "snapshot is at 61, beyond durable at 60");
}

TEST_F(VerifySegment, NamesARingThatHasAnothersNameOrIsMissing) {
    // Both copies of the directory agree, so attaching has nothing to say.
    const auto rename = [&](std::uint32_t index, const char* to) {
        auto* entries =
            reinterpret_cast<RingEntry*>(reinterpret_cast<std::byte*>(&segment_->shared_header()) +
                                         segment_->header().rings_offset);
        entries[index].name = entries[index + segment_->ring_count()].name = make_text<24>(to);
    };
    const std::uint32_t signals = segment_->find_ring("signals.alpha");
    rename(signals, "results.alpha");
    expect_broken("ring directory", "another's name");
    rename(signals, "signals.alpha");
    rename(segment_->find_ring("orders"), "order");
    expect_broken("ring directory", "no ring orders");
}

TEST_F(VerifySegment, RefusesNothingButWhatIsNotThere) {
    EXPECT_EQ(run_cli({"verify", path_ + "x"}).status, 3);
    EXPECT_EQ(run_cli({"verify", "--journal", path_ + "x"}).status, 3);
    EXPECT_EQ(run_cli({"verify", dir_.string()}).status, 3) << "a directory is no segment";
}

TEST_F(VerifySegment, CallsNothingBrokenThatItMayNotRead) {
    constexpr int kStaysRoot = 99;  // no exit status of inspect's
    ASSERT_EQ(::chmod(path_.c_str(), 0), 0);
    int out[2];
    ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        ::setsid();
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::dup2(out[1], STDOUT_FILENO);
        ::dup2(out[1], STDERR_FILENO);
        // Root may read everything. (In a process of its own: what the
        // tests write must stay writable.)
        const bool other = ::geteuid() != 0 || ::seteuid(65534) == 0;
        const char* argv[] = {"inspect", "verify", path_.c_str()};
        const int status = other ? inspect_main(3, argv) : kStaysRoot;
        std::fflush(nullptr);
        ::_exit(status);
    }
    ::close(out[1]);
    std::string said;
    char part[400];
    for (ssize_t n = 0; (n = ::read(out[0], part, sizeof part)) > 0;) {
        said.append(part, static_cast<std::size_t>(n));
    }
    ::close(out[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == kStaysRoot) {
        GTEST_SKIP() << "SKIPPED: root may become nobody else here (a user namespace with one user "
                        "only?); NOT TESTED HERE: verify of what may not be read";
    }
    EXPECT_EQ(WEXITSTATUS(status), 3) << said;
    EXPECT_EQ(said.find("BROKEN"), std::string::npos) << said;
    EXPECT_NE(said.find("Permission denied"), std::string::npos) << said;
}

// ---- journal directories ----------------------------------------------------------------------

/// Flips one bit of a file.
void flip(const fs::path& file, std::uint64_t at) {
    std::fstream f{file, std::ios::in | std::ios::out | std::ios::binary};
    f.seekg(static_cast<std::streamoff>(at));
    const int c = f.get();
    f.seekp(static_cast<std::streamoff>(at));
    f.put(static_cast<char>(c ^ 4));
}

class VerifyJournal : public ::testing::Test {
protected:
    void SetUp() override {
        p_.create_segment();
        const pid_t journal = p_.fork_journal(nullptr);
        const pid_t engine = p_.fork_core(nullptr);
        p_.send_config();
        p_.connect_accounts(1);
        ASSERT_TRUE(p_.play_until([&] { return core().admin_applied.load() >= 4; }));
        // A commit of its own: damage to a log's last one is a torn tail to whoever knows no more.
        ASSERT_TRUE(
            p_.play_until([&] { return core().durable.load() == core().journal_seq.load(); }));
        const pid_t replica = p_.fork_core(nullptr);
        p_.send_signals(50);
        ASSERT_TRUE(p_.play_until([&] { return p_.done_results.size() == p_.signals_sent; }));
        ASSERT_TRUE(p_.play_until([&] {
            return core().replica_applied.load() == core().journal_seq.load() &&
                   core().snapshot_seq.load() > 20;
        }));
        for (const pid_t pid : {engine, replica, journal}) {
            test::Pipeline::kill_and_reap(pid);
        }
        dir_ = p_.journal_dir();
    }
    CoreCells& core() { return p_.segment().core(); }
    fs::path first(const std::string& prefix) {
        fs::path found;
        for (const auto& entry : fs::directory_iterator{dir_}) {
            if (entry.path().filename().string().starts_with(prefix) &&
                (found.empty() || entry.path() < found)) {
                found = entry.path();
            }
        }
        return found;
    }
    std::string verdict() {
        const json j = run_json("verify", {"verify", "--journal", dir_}, 1);
        const auto broken = broken_checks(j);
        return broken.empty() ? "" : broken[0];
    }

    test::Pipeline p_;
    std::string dir_;
};

TEST_F(VerifyJournal, FindsADeadPipelineSound) {
    const json j = run_json("verify", {"verify", "--journal", dir_});
    EXPECT_EQ(j["sound"], true);
    const json both = run_json("verify", {"verify", dir_ + "/segment", "--with-journal"});
    EXPECT_EQ(both["sound"], true);
    EXPECT_NE(both.dump().find("the files hold the segment's durable"), std::string::npos);
}

TEST_F(VerifyJournal, NamesADamagedRecord) {
    flip(first("journal-"), kBlockBytes + 200);
    EXPECT_EQ(verdict(), "journal");
}

TEST_F(VerifyJournal, NamesADamagedSnapshotAndOneOfAnotherLog) {
    const fs::path snapshot = first("snapshot-");
    flip(snapshot, fs::file_size(snapshot) - 3);
    EXPECT_EQ(verdict().substr(0, 9), "snapshot ");
}

// The effects log is made again from the journal: what is not valid at its end is cut by the next
// start, so that is worth a note; a damaged header is not.
TEST_F(VerifyJournal, NotesATornTailOfTheEffectsAndNamesADamagedHeader) {
    flip(first("effects-"), 96 + 60);
    const json j = run_json("verify", {"verify", "--journal", dir_});
    EXPECT_NE(j.dump().find("effects-0000000"), std::string::npos) << j.dump(1);
    flip(first("effects-"), 20);
    EXPECT_EQ(verdict(), "effects");
}

TEST_F(VerifyJournal, NamesAMissingReservation) {
    fs::remove(dir_ + "/reservation");
    EXPECT_EQ(verdict(), "reservation");
}

TEST_F(VerifyJournal, NamesFilesThatEndBeforeWhatWasAcknowledged) {
    p_.segment().core().durable = core().durable.load() + 5;
    p_.segment().core().journal_seq = core().journal_seq.load() + 5;
    const json j = run_json("verify", {"verify", dir_ + "/segment", "--with-journal"}, 1);
    const auto broken = broken_checks(j);
    EXPECT_NE(std::find(broken.begin(), broken.end(), "durable"), broken.end()) << j.dump(1);
}

}  // namespace
}  // namespace millrace::inspect
