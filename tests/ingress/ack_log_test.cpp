// Goal: the source's log can be trusted as a witness: whole lines, torn tails seen, mistakes named.
// Method: write, tear, damage, read.
#include "tests/ingress/fixture.h"

#include <signal.h>
#include <sys/resource.h>

#include <fstream>
#include <utility>

namespace millrace::ingress_test {
namespace {

SignalRequest full_request() {
    SignalRequest r = open_signal(0x1234);
    r.target = {1, 2};
    r.side = Side::Sell;
    r.price_kind = PriceKind::Stop;
    r.flags = kHoldUntilOpen;
    r.action = SignalAction::Modify;
    r.price = Price{-1};
    r.stop_loss = Price{2};
    r.take_profit = Price{3};
    r.reference_price = Price{4};
    r.ttl_ms = 5;
    r.send_time = Nanos{6};
    return r;
}

AckLogWriter open_log(const std::string& path) {
    std::string message;
    auto log = AckLogWriter::open(path, message);
    EXPECT_TRUE(log.ok()) << message;
    return std::move(log).value();
}

void append_text(const std::string& path, const std::string& text) {
    std::ofstream{path, std::ios::app | std::ios::binary} << text;
}

TEST(AckLog, GivesBackEveryFieldThatWasWritten) {
    TempDir dir;
    const std::string path = dir.file("acks");
    AckLogWriter log = open_log(path);
    ASSERT_TRUE(log.append({AckLogKind::Submitted, full_request(), Nanos{}, Reason::None}).ok());
    ASSERT_TRUE(
        log.append({AckLogKind::Refused, full_request(), Nanos{99}, Reason::BadPrice}).ok());
    std::string message;
    const auto read = read_ack_log(path, message);
    ASSERT_TRUE(read.ok()) << message;
    ASSERT_EQ(read.value().entries.size(), 2U);
    const SignalRequest& r = read.value().entries[0].request;
    const SignalRequest want = full_request();
    EXPECT_EQ(r.id, want.id);
    EXPECT_EQ(r.target, want.target);
    EXPECT_EQ(r.group, want.group);
    EXPECT_EQ(r.symbol, want.symbol);
    EXPECT_EQ(r.action, want.action);
    EXPECT_EQ(r.side, want.side);
    EXPECT_EQ(r.price_kind, want.price_kind);
    EXPECT_EQ(r.flags, want.flags);
    EXPECT_EQ(r.volume, want.volume);
    EXPECT_EQ(r.price, want.price);
    EXPECT_EQ(r.stop_loss, want.stop_loss);
    EXPECT_EQ(r.take_profit, want.take_profit);
    EXPECT_EQ(r.reference_price, want.reference_price);
    EXPECT_EQ(r.ttl_ms, want.ttl_ms);
    EXPECT_EQ(r.send_time, want.send_time);
    EXPECT_EQ(read.value().entries[1].reason, Reason::BadPrice);
    EXPECT_EQ(read.value().entries[1].ack_time, Nanos{99});
    EXPECT_FALSE(read.value().torn_tail);
}

TEST(AckLog, DropsATornLastLineAndKeepsWhatIsWrittenAfterIt) {
    TempDir dir;
    const std::string path = dir.file("acks");
    ASSERT_TRUE(
        open_log(path).append({AckLogKind::Submitted, open_signal(1), Nanos{}, Reason::None}).ok());
    append_text(path, "a0a0000000000000000000000000");  // killed inside write(2)
    std::string message;
    auto read = read_ack_log(path, message);
    ASSERT_TRUE(read.ok()) << message;
    EXPECT_TRUE(read.value().torn_tail);
    EXPECT_EQ(read.value().entries.size(), 1U);
    ASSERT_TRUE(
        open_log(path).append({AckLogKind::Accepted, open_signal(1), Nanos{5}, Reason::None}).ok());
    read = read_ack_log(path, message);
    ASSERT_TRUE(read.ok()) << message;
    EXPECT_TRUE(read.value().torn_tail);
    EXPECT_EQ(read.value().entries.size(), 2U);
    EXPECT_TRUE(read.value().unanswered().empty());
}

TEST(AckLog, NamesFileAndLineOfADamagedEntry) {
    TempDir dir;
    const std::string path = dir.file("acks");
    ASSERT_TRUE(
        open_log(path).append({AckLogKind::Submitted, open_signal(1), Nanos{}, Reason::None}).ok());
    append_text(path, "a0a00000000000000000000000000001 maybe 1 2 0\n");
    std::string message;
    EXPECT_EQ(read_ack_log(path, message).code(), Errc::BadInput);
    EXPECT_NE(message.find(path + ":2:"), std::string::npos) << message;
    EXPECT_EQ(read_ack_log(dir.file("none"), message).code(), Errc::NotFound);
}

TEST(AckLog, SaysWhenALineDoesNotReachTheDisk) {
    if (!std::filesystem::exists("/dev/full")) {
        GTEST_SKIP() << "no /dev/full here";
    }
    std::string message;
    auto log = AckLogWriter::open("/dev/full", message);
    if (!log.ok()) {
        GTEST_SKIP() << message;
    }
    const Status status =
        log.value().append({AckLogKind::Submitted, open_signal(1), Nanos{}, Reason::None});
    EXPECT_EQ(status.code(), Errc::IoError);
    EXPECT_EQ(status.error().sys_errno, ENOSPC);
}

TEST(AckLog, GoesOnBehindALineThatAFullDiskCutOff) {
    TempDir dir;
    const std::string path = dir.file("acks");
    AckLogWriter log = open_log(path);
    ASSERT_TRUE(log.append({AckLogKind::Submitted, open_signal(1), Nanos{}, Reason::None}).ok());
    rlimit room{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &room), 0);
    const rlim_t before = std::exchange(room.rlim_cur, std::filesystem::file_size(path) + 10);
    ::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &room), 0);
    for (int i = 0; i < 2; ++i) {  // the second writes nothing at all
        EXPECT_EQ(log.append({AckLogKind::Accepted, open_signal(1), Nanos{5}, Reason::None}).code(),
                  Errc::IoError);
    }
    room.rlim_cur = before;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &room), 0);
    AckLogWriter moved = std::move(log);
    ASSERT_TRUE(moved.append({AckLogKind::Submitted, open_signal(2), Nanos{}, Reason::None}).ok());
    std::string message;
    const auto read = read_ack_log(path, message);
    ASSERT_TRUE(read.ok()) << message;
    EXPECT_TRUE(read.value().torn_tail);
    EXPECT_EQ(read.value().entries.size(), 2U);
    EXPECT_EQ(read.value().unanswered().size(), 2U);
}

TEST(AckLog, HoldsARequestForUnansweredThatWasRefusedAndIsSubmittedAgain) {
    AckLog log;
    for (const auto kind : {AckLogKind::Submitted, AckLogKind::Refused, AckLogKind::Submitted}) {
        log.entries.push_back({kind, open_signal(1), Nanos{}, Reason::None});
        log.entries.push_back({kind, open_signal(2), Nanos{}, Reason::None});
    }
    log.entries.push_back({AckLogKind::Accepted, open_signal(2), Nanos{}, Reason::None});
    log.entries.push_back({AckLogKind::Submitted, open_signal(1), Nanos{}, Reason::None});
    const auto open = log.unanswered();
    ASSERT_EQ(open.size(), 1U);
    EXPECT_EQ(open[0].id, open_signal(1).id);
}

TEST(AckLog, ReadsIdsWithAndWithoutDashes) {
    const auto id = parse_signal_id("00112233-4455-6677-8899-AABBCCDDEEFF");
    ASSERT_TRUE(id.ok());
    EXPECT_EQ(to_hex(id.value()), "00112233445566778899aabbccddeeff");
    EXPECT_FALSE(parse_signal_id("0011").ok());
    EXPECT_FALSE(parse_signal_id("zz112233445566778899aabbccddeeff").ok());
}

}  // namespace
}  // namespace millrace::ingress_test
