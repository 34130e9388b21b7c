// Goal: the kill switch can be given whatever the journal's disk says, and two commands never write
// one ring at once. Method: a segment whose journal directory nobody can open, as on a file system
// that is shut down, and one that can be; several clients at once.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "tests/ops/temp_dir.h"
#include "tools/millrace/admin_client.h"
#include "tools/millrace/kill_client.h"

namespace millrace {
namespace {

class AdminRoles : public ::testing::Test {
protected:
    Segment make(const std::string& journal_dir) {
        SegmentPlan plan;
        plan.path = dir_ / "segment";
        plan.journal_dir = journal_dir;
        plan.sessions = 1;
        plan.memory.lock = MemoryWish::Off;
        std::string message;
        auto made = Segment::create(plan, message);
        EXPECT_TRUE(made.ok()) << message;
        return std::move(made).value();
    }
    Errc taken(const Segment& segment, AdminRing ring) {
        const auto role = AdminRole::try_take(segment, ring, holder_);
        return role.code();
    }
    test::TempDir dir_;
    std::string holder_;
};

TEST_F(AdminRoles, AreToBeHadOnceWhereNoLockFileCanBeOpened) {
    // Stands for each answer but ENOENT: EROFS, and EIO of XFS, of later ext4, of a disk that is
    // gone.
    const Segment s = make(dir_.write("file", "") + "/journal");
    ASSERT_EQ(RoleLock::try_acquire(s.header().journal_dir, "admin", holder_).code(),
              Errc::IoError);
    std::string message;
    std::optional<Result<KillClient>> kill{KillClient::open(s, message)};
    ASSERT_TRUE(kill->ok()) << message;
    EXPECT_EQ(taken(s, AdminRing::Broker), Errc::NotOwner);
    EXPECT_EQ(taken(s, AdminRing::Engine), Errc::Ok) << "it is another ring's";
    KillCommand command;
    command.kill_id = 7;
    EXPECT_TRUE(kill->value().send(command, message)) << message;
    const Result<KillClient> second = KillClient::open(s, message);
    EXPECT_EQ(second.code(), Errc::NotOwner);
    EXPECT_NE(message.find("another command line"), std::string::npos) << message;
    std::string none;  // to attach, and to be done with that, takes nothing away
    ASSERT_TRUE(Segment::attach(s.path(), Segment::Mode::ReadWrite, none)) << none;
    EXPECT_EQ(taken(s, AdminRing::Broker), Errc::NotOwner);
    kill.reset();
    EXPECT_EQ(taken(s, AdminRing::Broker), Errc::Ok);
}

TEST_F(AdminRoles, AreHeldAlsoByACommandOfABuildThatKnowsTheLockFileAlone) {
    const Segment s = make(dir_.path());
    const pid_t other = ::fork();
    int status = 0;
    if (other == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // where a check fails below it is still stopped
        std::string holder;
        const auto lock = RoleLock::try_acquire(dir_.path(), "admin", holder);
        ::raise(SIGSTOP);
        ::_exit(lock.ok() ? 0 : 1);
    }
    ASSERT_EQ(::waitpid(other, &status, WUNTRACED), other);
    EXPECT_EQ(taken(s, AdminRing::Engine), Errc::NotOwner);
    EXPECT_EQ(holder_, "pid " + std::to_string(other));
    ::kill(other, SIGCONT);
    ASSERT_EQ(::waitpid(other, &status, 0), other);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(taken(s, AdminRing::Engine), Errc::Ok);
}

TEST_F(AdminRoles, AreToBeHadWhereTheSegmentsFileIsGone) {
    const Segment s = make(dir_.path());
    ASSERT_EQ(::unlink(s.path().c_str()), 0);
    EXPECT_EQ(taken(s, AdminRing::Engine), Errc::Ok) << "by the lock file";
}

TEST_F(AdminRoles, SayWhatIsWrongWhereNeitherLockCanBeHad) {
    const Segment s = make(dir_.write("file", "") + "/journal");
    ASSERT_EQ(::unlink(s.path().c_str()), 0);
    EXPECT_EQ(taken(s, AdminRing::Broker), Errc::IoError);
    EXPECT_NE(holder_.find("admin.broker.lock: Not a directory, nor " + s.path()),
              std::string::npos)
        << holder_;
}

}  // namespace
}  // namespace millrace
