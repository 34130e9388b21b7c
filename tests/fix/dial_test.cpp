// Goal: a session finds its way back by the second access point, hammers nobody, and does not talk
// itself into a locked account. Method: a real session against a venue that is not QuickFIX, ports
// where nobody answers, and one where not even the kernel does.
#include "tests/fix/session_rig.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

namespace millrace::fix::test {
namespace {

class FixDial : public FixSession {
protected:
    /// How often it has dialled `port`.
    int dials(std::uint16_t port) {
        const std::string log = file("messages");
        const std::string line = "Connecting to 127.0.0.1 on port " + std::to_string(port);
        int count = 0;
        for (std::size_t at = 0; (at = log.find(line, at)) != std::string::npos; ++at) {
            ++count;
        }
        return count;
    }
    /// As its owner does ten times a second, whatever the time is.
    void tick_often() {
        for (int i = 0; i < 1000; ++i) {
            session->tick();
        }
    }
};

/// A port whose connections stay where they are: not refused, not made.
class BlackHole {
public:
    BlackHole() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t bytes = sizeof address;
        auto* const a = reinterpret_cast<sockaddr*>(&address);
        EXPECT_EQ(::bind(fds_[0], a, bytes), 0);
        EXPECT_EQ(::listen(fds_[0], 0), 0);
        EXPECT_EQ(::getsockname(fds_[0], a, &bytes), 0);
        port_ = ntohs(address.sin_port);
        for (int i = 1; i < kFds; ++i) {  // the queue of those that nobody accepts is full then
            static_cast<void>(::connect(fds_[i], a, bytes));
        }
    }
    ~BlackHole() {
        for (const int fd : fds_) {
            ::close(fd);
        }
    }
    BlackHole(const BlackHole&) = delete;
    BlackHole& operator=(const BlackHole&) = delete;
    [[nodiscard]] std::uint16_t port() const { return port_; }

private:
    static constexpr int kFds = 5;
    static int stream() { return ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }
    int fds_[kFds] = {stream(), stream(), stream(), stream(), stream()};
    std::uint16_t port_ = 0;
};

/// Two access points, of which the first one connects and lets nobody in. Nothing else ends the
/// pause after that.
class FixDialHalfDead : public FixDial {
protected:
    void open_with(const char* logon) {
        start_venue();
        other.start();
        venue.control(logon);
        settings.backup_host = "127.0.0.1";
        settings.backup_port = other.port();
        settings.pause_ms = 3'600'000;
        settings.reconnect_ms = 100;
        open();
    }
    Acceptor other;
};

TEST_F(FixDialHalfDead, ANetworkThatAnswersNoLogonSendsItToTheSecondAccessPoint) {
    open_with(R"("cmd": "logon", "do": "hangup")");
    ASSERT_TRUE(
        wait_for(SessionNews::Kind::Trouble, "at 127.0.0.1:" + std::to_string(other.port())))
        << file("messages");
    ASSERT_TRUE(wait_logon()) << file("messages");
    EXPECT_EQ(venue.stat("logons"), 3);
    EXPECT_EQ(other.stat("logons"), 1);
    EXPECT_EQ(order("A1"), SendResult::Sent);
    ASSERT_TRUE(
        wait_message("\x01"
                     "150=F\x01"));
    EXPECT_EQ(other.executions().size(), 1U);
}

TEST_F(FixDialHalfDead, ALogonThatIsRefusedForAnotherReasonDoesToo) {
    open_with(R"("cmd": "logon", "do": "refuse", "text": "site under maintenance")");
    ASSERT_TRUE(wait_logon()) << file("messages");
    EXPECT_EQ(venue.stat("logons"), 1);
}

TEST_F(FixDial, GoesToTheSecondAccessPointAfterFiveAttemptsAndTradesThere) {
    start_venue();
    const millrace::test::QuietPort nobody;
    settings.backup_host = "127.0.0.1";
    settings.backup_port = venue.port();
    settings.reconnect_ms = 100;
    open_at(nobody.number());
    ASSERT_TRUE(wait_for(SessionNews::Kind::Trouble, "5 attempts in a row failed; going on at"));
    ASSERT_TRUE(wait_logon()) << file("messages");
    EXPECT_EQ(dials(nobody.number()), 5);
    EXPECT_EQ(dials(venue.port()), 1);
    EXPECT_EQ(order("A1"), SendResult::Sent);
    ASSERT_TRUE(
        wait_message("\x01"
                     "150=F\x01"));
    // What worked is what it comes back to.
    venue.control(R"("cmd": "drop")");
    ASSERT_TRUE(wait_for(SessionNews::Kind::LoggedOut));
    ASSERT_TRUE(wait_logon()) << file("messages");
    EXPECT_EQ(dials(nobody.number()), 5);
    EXPECT_EQ(order("A2"), SendResult::Sent);
    EXPECT_EQ(venue.stat("repeats"), 0);
}

TEST_F(FixDial, GivesUpAConnectionThatIsNeitherMadeNorRefused) {
    BlackHole hole;
    open_at(hole.port());
    ASSERT_TRUE(eventually([&] {
        session->tick();
        return dials(hole.port()) == 2;
    })) << file("messages");
    EXPECT_NE(file("messages").find("No connection in 5 s; given up"), std::string::npos);
}

TEST_F(FixDial, StopsOnceTheVenueHasRefusedTheCredentialsTooOften) {
    start_venue();
    venue.control(R"("cmd": "logon", "do": "refuse", "text": "Invalid Password")");
    settings.pause_ms = 100;
    settings.refusals_max = 2;
    open();
    ASSERT_TRUE(wait_for(SessionNews::Kind::Trouble, "Invalid Password"));
    ASSERT_TRUE(wait_for(SessionNews::Kind::Trouble, "refused our credentials 2 times in a row"));
    venue.control(R"("cmd": "logon", "do": "take")");
    tick_often();
    EXPECT_EQ(dials(venue.port()), 2);
    EXPECT_EQ(order("A1"), SendResult::NotSent);
}

TEST_F(FixDial, WaitsAfterALogonThatIsRefusedForAnotherReason) {
    start_venue();
    venue.control(R"("cmd": "logon", "do": "refuse", "text": "session disabled until 22:00")");
    settings.pause_ms = 3'600'000;
    settings.refusals_max = 1;
    open();
    ASSERT_TRUE(wait_for(SessionNews::Kind::Trouble, "session disabled until 22:00"));
    ASSERT_TRUE(wait_for(SessionNews::Kind::Trouble, "takes nobody now; the next one in"));
    tick_often();
    EXPECT_EQ(dials(venue.port()), 1);
}

TEST_F(FixDial, WaitsAfterThreeLogonsThatWereNotAnswered) {
    start_venue();
    venue.control(R"("cmd": "logon", "do": "hangup")");
    settings.pause_ms = 3'600'000;
    settings.reconnect_ms = 100;
    open();
    ASSERT_TRUE(wait_for(SessionNews::Kind::Trouble, "3 logons in a row were not answered"));
    tick_often();
    EXPECT_EQ(venue.stat("logons"), 3);
}

}  // namespace
}  // namespace millrace::fix::test
