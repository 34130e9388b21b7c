// Goal: an order leaves while the session is logged on or never, nothing leaves twice, nothing the
// venue said is lost, and no trouble with sequence numbers lasts. Method: a real session against a
// venue that is not QuickFIX and does on request what venues do wrong.
#include "tests/fix/session_rig.h"

#include <chrono>
#include <thread>

namespace millrace::fix::test {
namespace {

TEST_F(FixSession, SendsAnOrderAndHandsOutTheReportsAsTheyCame) {
    start_venue();
    settings.username = "trader";
    settings.password = "secret";
    open();
    ASSERT_TRUE(wait_logon());
    EXPECT_EQ(order("A1"), SendResult::Sent);
    ASSERT_TRUE(
        wait_message("\x01"
                     "150=0\x01"));
    ASSERT_TRUE(
        wait_message("\x01"
                     "150=F\x01"));
    EXPECT_EQ(found.substr(0, 10), "8=FIX.4.4\x01");
    EXPECT_EQ(venue.executions().size(), 1U);
    const std::string log = file("messages");
    EXPECT_NE(log.find("|553=trader|554=***|"), std::string::npos) << log;
    EXPECT_EQ(log.find("secret"), std::string::npos);
}

TEST_F(FixSession, RefusesAnOrderWhileLoggedOffAndNeverSendsItLater) {
    start_venue();
    venue.control(R"("cmd": "logon", "do": "silent")");
    open();
    EXPECT_EQ(order("A1"), SendResult::NotSent);
    ASSERT_TRUE(eventually([&] { return venue.stat("logons") > 0; }));
    EXPECT_EQ(order("A2"), SendResult::NotSent);
    venue.control(R"("cmd": "logon", "do": "take")");
    venue.control(R"("cmd": "drop")");
    ASSERT_TRUE(wait_logon());
    EXPECT_EQ(order("A3"), SendResult::Sent);
    ASSERT_TRUE(
        wait_message("\x01"
                     "150=F\x01"));
    EXPECT_EQ(venue.stat("orders"), 1);
}

TEST_F(FixSession, FillsGapsInsteadOfSendingAnOrderAgain) {
    start_venue();
    open();
    ASSERT_TRUE(wait_logon());
    EXPECT_EQ(order("A1"), SendResult::Sent);
    ASSERT_TRUE(
        wait_message("\x01"
                     "150=F\x01"));
    venue.control(R"("cmd": "numbers", "in": 1)");
    venue.control(R"("cmd": "ask", "from": 1, "to": 0)");
    ASSERT_TRUE(eventually([&] { return venue.stat("gapfills") > 0; }));
    EXPECT_EQ(order("A2"), SendResult::Sent);
    ASSERT_TRUE(wait_message("11=A2\x01"));
    EXPECT_EQ(venue.stat("possdup"), 0);
    EXPECT_EQ(venue.stat("orders"), 2);
    EXPECT_EQ(venue.stat("repeats"), 0);
}

TEST_F(FixSession, GetsAgainWhatWasNotDealtWithBeforeADeath) {
    start_venue();
    open();
    ASSERT_TRUE(wait_logon());
    deals_with_news = false;
    EXPECT_EQ(order("A1"), SendResult::Sent);
    ASSERT_TRUE(
        wait_message("\x01"
                     "150=F\x01"));
    reopen();
    deals_with_news = true;
    read = 0;
    ASSERT_TRUE(
        wait_message("\x01"
                     "150=F\x01"));
    EXPECT_NE(found.find("\x01"
                         "43=Y\x01"),
              std::string::npos);
    ASSERT_TRUE(wait_for(SessionNews::Kind::Processed));
    reopen();
    read = 0;
    ASSERT_TRUE(wait_logon());
    EXPECT_EQ(order("A2"), SendResult::Sent);
    ASSERT_TRUE(
        wait_message("\x01"
                     "150=F\x01"));
    for (const SessionNews& n : news) {
        EXPECT_EQ(n.text.find("11=A1\x01"), std::string::npos) << n.text;
    }
}

TEST_F(FixSession, AsksForMessagesThatWereLostOnTheWay) {
    start_venue();
    open();
    ASSERT_TRUE(wait_logon());
    venue.control(R"("cmd": "skip", "count": 3)");
    EXPECT_EQ(order("A1"), SendResult::Sent);
    ASSERT_TRUE(
        wait_message("\x01"
                     "150=0\x01"));
    ASSERT_TRUE(
        wait_message("\x01"
                     "150=F\x01"));
    EXPECT_EQ(venue.stat("asked"), 1);
}

// QuickFIX 1.15 takes what it asked for as outstanding until a message of that number or a later
// one is read; a gap fill from below that reaches beyond is none. Meanwhile it asks for nothing.
TEST_F(FixSession, CountsAResendRequestAsReceivedAfterAGapFillThatReachedBeyondTheGap) {
    start_venue();
    open();
    ASSERT_TRUE(wait_logon());
    venue.control(R"("cmd": "skip", "count": 2)");
    venue.control(R"("cmd": "say", "kind": "0", "fields": [])");
    ASSERT_TRUE(eventually([&] { return venue.stat("asked") == 1; }));  // and filled
    venue.control(R"("cmd": "ask", "from": 1, "to": 0)");
    venue.control(R"("cmd": "say", "kind": "j", "fields": [[372, "D"], [380, 0], [58, "here"]])");
    EXPECT_TRUE(
        wait_message("\x01"
                     "58=here\x01"));
    EXPECT_EQ(venue.stat("logons"), 1) << file("messages");
    EXPECT_EQ(venue.stat("asked"), 1) << file("messages");
}

// A venue that answers nobody's ResendRequest, and goes on talking.
TEST_F(FixSession, LogsOnAnewWhereAGapIsNotFilledHoweverMuchIsSaid) {
    start_venue();
    open();
    ASSERT_TRUE(wait_logon());
    venue.control(R"("cmd": "resend", "do": "ignore")");
    venue.control(R"("cmd": "skip", "count": 2)");
    EXPECT_TRUE(eventually([&] {
        venue.control(R"("cmd": "say", "kind": "0", "fields": [])");
        session->tick();
        std::this_thread::sleep_for(std::chrono::milliseconds{50});  // how fast it talks
        return venue.stat("logons") == 2;
    })) << file("messages");
}

// QuickFIX refuses what its dictionary does not know as a group: a report would be lost for good.
TEST_F(FixSession, HandsOutMessagesWithRepeatingGroupsKnownAndUnknown) {
    start_venue();
    open();
    ASSERT_TRUE(wait_logon());
    venue.control(R"("cmd": "say", "kind": "W", "fields": [[55, "EURUSD"], [268, 2], [269, 0],)"
                  R"( [270, "1.1"], [269, 1], [270, "1.2"]])");
    ASSERT_TRUE(
        wait_message("\x01"
                     "270=1.2\x01"));
    const std::string report = R"("cmd": "say", "kind": "8", "fields": [[11, "A1"], [150, "F"],)";
    venue.control(report + R"( [453, 2], [448, "X"], [452, 1], [448, "Y"], [452, 3]])");
    ASSERT_TRUE(
        wait_message("\x01"
                     "448=Y\x01"));
    EXPECT_EQ(file("messages").find("35=3"), std::string::npos) << "a known group was refused";
    venue.control(report + R"( [9001, 2], [9002, "X"], [9002, "Z"]])");
    ASSERT_TRUE(
        wait_message("\x01"
                     "9002=Z\x01"));
    for (std::size_t i = 0; i < news.size(); ++i) {
        for (std::size_t before = 0; before < i; ++before) {
            EXPECT_FALSE(news[i].kind == SessionNews::Kind::Message &&
                         news[before].kind == SessionNews::Kind::Processed &&
                         news[before].number > news[i].number)
                << "dealt with before it was handed out, so that after a death it is lost: "
                << news[i].text;
        }
    }
    EXPECT_EQ(order("A2"), SendResult::Sent);
    ASSERT_TRUE(wait_message("11=A2\x01"));
}

TEST_F(FixSession, BelievesAVenueWhoseNumbersWentBack) {
    start_venue();
    open();
    ASSERT_TRUE(wait_logon());
    for (const char* id : {"A1", "A2", "A3"}) {
        EXPECT_EQ(order(id), SendResult::Sent);
        ASSERT_TRUE(
            wait_message("\x01"
                         "150=F\x01"));
    }
    // Far back, so that it does not get to the old number by counting its refused logons.
    venue.control(R"("cmd": "numbers", "out": 1000)");
    EXPECT_EQ(order("B1"), SendResult::Sent);
    ASSERT_TRUE(wait_message("11=B1\x01"));
    venue.control(R"("cmd": "numbers", "out": 1)");
    venue.control(R"("cmd": "drop")");
    ASSERT_TRUE(wait_for(SessionNews::Kind::Trouble, "went back"));
    ASSERT_TRUE(wait_logon());
    EXPECT_EQ(order("A4"), SendResult::Sent);
    ASSERT_TRUE(wait_message("11=A4\x01"));
}

TEST_F(FixSession, TakesOverTheNumberThatTheVenueExpects) {
    start_venue();
    venue.control(R"("cmd": "numbers", "in": 500)");
    open();
    ASSERT_TRUE(wait_for(SessionNews::Kind::Trouble, "expects our sequence number 500"));
    ASSERT_TRUE(wait_logon());
    // The logon was 501: the venue asks for 500. An order that left before would be a part of what
    // our gap fill passes over.
    ASSERT_TRUE(eventually([&] { return file("messages").find("36=502") != std::string::npos; }))
        << file("messages");
    EXPECT_EQ(order("A1"), SendResult::Sent);
    ASSERT_TRUE(
        wait_message("\x01"
                     "150=F\x01"));
    EXPECT_NE(file("numbers").find("sender=00000005"), std::string::npos) << file("numbers");
}

TEST_F(FixSession, NumbersFromOneAtEachLogonWhereTheVenueWantsIt) {
    start_venue();
    settings.reset_on_logon = true;
    open();
    ASSERT_TRUE(wait_logon());
    EXPECT_EQ(order("A1"), SendResult::Sent);
    ASSERT_TRUE(
        wait_message("\x01"
                     "150=F\x01"));
    venue.control(R"("cmd": "drop")");
    ASSERT_TRUE(wait_logon());
    EXPECT_EQ(order("A2"), SendResult::Sent);
    ASSERT_TRUE(wait_message("11=A2\x01"));
    EXPECT_EQ(venue.stat("in"), 3);
}

TEST_F(FixSession, RefusesASequenceFileThatHoldsSomethingElse) {
    std::ofstream{folder / "numbers"} << "sender=12 target=\n";
    settings.host = "127.0.0.1";
    settings.port = 1;
    settings.sender_comp_id = settings.target_comp_id = "X";
    settings.sequence_path = folder / "numbers";
    std::string error;
    EXPECT_EQ(VenueSession::start(settings, error), nullptr);
    EXPECT_NE(error.find("ask the venue"), std::string::npos) << error;
}

class FixTls : public FixSession {
protected:
    FixTls() { settings.tls = true; }
    void start_secure() {
        secure.start();
        settings.tls_ca_file = secure.certificate();
        connect();
    }
    void connect() {
        session.reset();
        said = file("messages").size();
        open_at(secure.port());
    }
    /// After two attempts of the session that was opened last.
    bool is_refused() {
        const auto refusals = [this] {
            session->tick();
            const std::string log = file("messages");
            const std::size_t first = log.find("SSL_connect failed", said);
            return first != std::string::npos &&
                   log.find("SSL_connect failed", first + 1) != std::string::npos;
        };
        return eventually(refusals) && secure.stat("logons") == 0;
    }
    Acceptor secure{true};
    std::size_t said = 0;  // bytes of the message log before the session that was opened last
};

TEST_F(FixTls, SpeaksToAVenueWhoseCertificateIsSignedByTheGivenAuthority) {
    start_secure();
    ASSERT_TRUE(wait_logon()) << file("messages");
    EXPECT_EQ(order("A1"), SendResult::Sent);
    ASSERT_TRUE(
        wait_message("\x01"
                     "150=F\x01"));
}

TEST_F(FixTls, SaysNothingToAVenueWhoseCertificateIsOfAnotherName) {
    settings.tls_name = "other.example";
    start_secure();
    EXPECT_TRUE(is_refused()) << file("messages");
    settings.tls_name = "127.0.0.2";
    connect();
    EXPECT_TRUE(is_refused()) << file("messages");
    settings.tls_name = "venue.example";
    connect();
    EXPECT_TRUE(wait_logon()) << file("messages");
}

TEST_F(FixTls, IsRefusedASecondNameWhileTheProcessAsksForAnother) {
    settings.tls_name = "venue.example";
    start_secure();
    ASSERT_TRUE(wait_logon()) << file("messages");
    SessionSettings other = settings;
    other.target_comp_id = "OTHER";
    other.sequence_path = folder / "numbers-of-another";
    other.message_log = folder / "messages-of-another";
    other.tls_name = "other.example";
    std::string error;
    EXPECT_EQ(VenueSession::start(other, error), nullptr);
    EXPECT_NE(error.find("already asks for the name \"venue.example\""), std::string::npos)
        << error;
    other.tls_name = "venue.example";
    EXPECT_NE(VenueSession::start(other, error), nullptr) << error;
    session.reset();
    other.tls_name = "other.example";
    EXPECT_NE(VenueSession::start(other, error), nullptr) << "nobody asks for the first now";
}

TEST_F(FixTls, SaysNothingToAVenueWhoseCertificateIsOfAnotherAuthority) {
    Acceptor other{true};
    other.start();
    settings.tls_ca_file = other.certificate();
    secure.start();
    connect();
    EXPECT_TRUE(is_refused()) << file("messages");
}

}  // namespace
}  // namespace millrace::fix::test
