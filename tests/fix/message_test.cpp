// Goal: a message is taken whole or not at all.
// Method: one sound message, and every way to break it; all one-byte changes and all cuts of it.
#include "gateway/fix/incoming.h"
#include "tests/fix/fix_rig.h"

namespace millrace::fix::test {
namespace {

const std::string kSound = seal("35=8|34=2|11=ABC|58=free text|14=10000|");

Errc refusal(const std::string& bytes) {
    return Message::parse(bytes).code();
}

TEST(FixMessage, FindsFieldsByTag) {
    const auto message = Message::parse(kSound);
    ASSERT_TRUE(message.ok());
    EXPECT_EQ(message.value().type(), "8");
    EXPECT_EQ(message.value().text(58), "free text");
    EXPECT_EQ(message.value().integer(14), 10'000);
    EXPECT_EQ(message.value().fields(), 8U);
    EXPECT_FALSE(message.value().has(99));
    EXPECT_FALSE(message.value().integer(58));
    EXPECT_EQ(message.value().character(35), '8');
    EXPECT_EQ(message.value().character(58), '\0');
}

TEST(FixMessage, TakesAnExampleWhoseCheckSumIsKnown) {
    std::string heartbeat =
        "8=FIX.4.4|9=78|35=5|34=4|49=FIXTESTA|52=20200713-17:51:39.088|"
        "56=MONTRANTS|58=user requested|10=118|";
    std::replace(heartbeat.begin(), heartbeat.end(), '|', kSoh);
    EXPECT_TRUE(Message::parse(heartbeat).ok());
}

TEST(FixMessage, RefusesEveryChangeOfOneByte) {
    for (std::size_t at = 0; at < kSound.size(); ++at) {
        for (int change = 1; change < 256; ++change) {
            std::string bytes = kSound;
            bytes[at] = static_cast<char>(bytes[at] ^ change);
            EXPECT_FALSE(Message::parse(bytes).ok()) << "byte " << at << " xor " << change;
        }
    }
}

TEST(FixMessage, RefusesEveryCutAndEveryTail) {
    for (std::size_t n = 0; n < kSound.size(); ++n) {
        EXPECT_FALSE(Message::parse(std::string_view{kSound}.substr(0, n)).ok()) << n << " bytes";
    }
    EXPECT_FALSE(Message::parse(kSound + kSound).ok());
    EXPECT_FALSE(Message::parse(kSound + "58=x\x01").ok());
    EXPECT_FALSE(Message::parse(kSound + "\x01").ok());
}

TEST(FixMessage, RefusesWhatIsNoFrame) {
    EXPECT_EQ(refusal(seal("34=2|35=8|11=A|")), Errc::BadFrame) << "MsgType is not third";
    EXPECT_EQ(refusal(seal("35=8|11=|")), Errc::BadFrame) << "an empty value";
    EXPECT_EQ(refusal(seal("35=8|=A|")), Errc::BadFrame) << "no tag";
    EXPECT_EQ(refusal(seal("35=8|011=A|")), Errc::BadFrame) << "a tag with a leading zero";
    EXPECT_EQ(refusal(seal("35=8|1x=A|")), Errc::BadFrame);
    EXPECT_EQ(refusal(seal("35=8|123456=A|")), Errc::BadFrame) << "a tag of six digits";
    EXPECT_EQ(refusal(seal("35=8|10=000|11=A|")), Errc::BadFrame) << "CheckSum in the middle";
    EXPECT_EQ(refusal(seal("35=8|11=A|", "FAX.4.4")), Errc::BadFrame);
    std::string wrong_length = kSound;
    wrong_length.replace(wrong_length.find("9="), 4, "9=38");
    EXPECT_EQ(refusal(wrong_length), Errc::BadFrame);
    std::string wrong_sum = kSound;
    char& last = wrong_sum[wrong_sum.size() - 2];
    last = last == '0' ? '1' : '0';
    EXPECT_EQ(refusal(wrong_sum), Errc::BadChecksum);
}

TEST(FixMessage, TakesFieldSeparatorsInsideDataFields) {
    const std::string data = "a|10=000|b";  // | becomes SOH
    const auto bytes = seal("35=B|95=" + std::to_string(data.size()) + "|96=" + data + "|58=x|");
    const auto message = Message::parse(bytes);
    ASSERT_TRUE(message.ok());
    EXPECT_EQ(message.value().text(96).size(), data.size());
    EXPECT_EQ(message.value().text(58), "x");
    EXPECT_EQ(refusal(seal("35=B|95=900|96=abc|")), Errc::Ok)
        << "a length beyond the message is none: the value ends at its SOH";
    EXPECT_EQ(refusal(seal("35=B|95=2|96=abc|58=x|")), Errc::BadFrame);
}

TEST(FixMessage, RefusesMoreFieldsThanItHolds) {
    std::string fields = "35=W|";
    for (std::size_t i = 0; i < Message::kFieldsMax - 4; ++i) {
        fields += "270=1|";
    }
    const std::string full = seal(fields);
    ASSERT_TRUE(Message::parse(full).ok());
    EXPECT_EQ(Message::parse(full).value().count(270), Message::kFieldsMax - 4);
    EXPECT_EQ(refusal(seal(fields + "270=1|")), Errc::BadFrame);
    EXPECT_EQ(refusal(std::string(Message::kBytesMax + 1, 'x')), Errc::BadFrame);
}

std::string fault_of(const std::string& fields) {
    const std::string bytes = seal(fields);
    const auto message = Message::parse(bytes);
    EXPECT_TRUE(message.ok());
    const auto in = decode(message.value());
    return in.ok() ? "" : in.error().what;
}

TEST(FixDecode, RefusesAReportWhoseMeaningIsInDoubt) {
    const std::string sound = "35=8|11=A|17=E|150=F|39=1|54=1|14=5|";
    EXPECT_EQ(fault_of(sound), "");
    EXPECT_EQ(fault_of("35=8|11=A|17=E|39=1|54=1|14=5|"), "ExecType(150)");
    EXPECT_EQ(fault_of("35=8|11=A|17=E|150=F|54=1|14=5|"), "OrdStatus(39)");
    EXPECT_EQ(fault_of("35=8|11=A|17=E|150=F|39=11|54=1|14=5|"), "OrdStatus(39)");
    EXPECT_EQ(fault_of("35=8|11=A|17=E|150=F|39=1|54=1|"), "CumQty(14)");
    EXPECT_EQ(fault_of("35=8|11=A|17=E|150=F|39=1|54=1|14=5x|"), "CumQty(14)");
    EXPECT_EQ(fault_of(sound + "14=6|"), "CumQty(14)");
    EXPECT_EQ(fault_of(sound + "39=2|"), "OrdStatus(39)");
    EXPECT_EQ(fault_of(sound + "11=B|"), "ClOrdID(11) twice");
    EXPECT_EQ(fault_of(sound + "17=F|"), "ExecID(17) twice");
    EXPECT_EQ(fault_of(sound + "32=-1|"), "a negative quantity");
    EXPECT_EQ(fault_of(sound + "31=-1|"), "a negative price");
    EXPECT_EQ(fault_of(sound + "38=1e4|"), "OrderQty(38)");
    EXPECT_EQ(fault_of("35=9|11=A|39=0|"), "CxlRejResponseTo(434)");
    EXPECT_EQ(fault_of("35=3|45=x|"), "RefSeqNum(45)");
    EXPECT_EQ(fault_of("35=W|269=0|269=1|"), "") << "groups of other messages are nobody's matter";
}

}  // namespace
}  // namespace millrace::fix::test
