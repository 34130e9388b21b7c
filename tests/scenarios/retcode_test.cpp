// Goal: every return code, in every state of every kind of order, does what its class says; nothing
// is lost, and IN_DOUBT is entered by the codes that leave it open and by no other.
// Method: all 65,536 numbers through the real engine; what must come is said here a second time,
// from the reference (mt5.md 1.2) and not from core/retcode. Where the reference is at hand
// (../shared), its table is read and compared too.
#include "tests/scenarios/retcode_stand.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace millrace::test {
namespace {

using Classes = std::map<std::uint32_t, std::string>;

/// mt5.md 1.2, first word of the column Class.
const Classes& reference() {
    static const Classes classes = [] {
        const std::pair<const char*, std::vector<std::uint32_t>> groups[] = {
            {"OK", {10008, 10009, 10025, 10036}},
            {"PART", {10010}},
            {"REPRICE", {10004, 10020, 10021}},
            {"BACKOFF", {10023, 10024, 10028, 10029}},
            {"QUEUE", {10018}},
            {"REJECT", {10006, 10007, 10013, 10014, 10015, 10016, 10019, 10022, 10030, 10032, 10033,
                        10034, 10035, 10038, 10040, 10041, 10042, 10043, 10044, 10045, 10046}},
            {"SUSPEND", {10017, 10026, 10027}},
            {"RECON", {10011, 10012, 10031, 10039}}};
        Classes all;
        for (const auto& [name, codes] : groups) {
            for (const std::uint32_t code : codes) {
                all[code] = name;
            }
        }
        return all;
    }();
    return classes;
}

/// The class as the answer to an order of this kind: the words of mt5.md 1.2 that name a kind.
std::string class_for(Kind kind, std::uint32_t code) {
    const bool entry = kind == Kind::Market || kind == Kind::Pending;
    const bool market = kind == Kind::Market || kind == Kind::Close;
    if (code == 10008 && !entry && kind != Kind::Close) {
        return "RECON";  // of OrderSendAsync: only sent
    }
    if (code == 10015 && market) {
        return "REPRICE";
    }
    if (code == 10025 && entry) {
        return "RECON";  // no entry changes nothing
    }
    if (code == 10036 && kind != Kind::Close) {
        return entry ? "REJECT" : "MOOT";
    }
    const auto listed = reference().find(code);
    return listed == reference().end() ? "RECON" : listed->second;
}

Standing ended(OrdStatus status, Reason reason, Lots cum) {
    return {true, status, reason, false, cum};
}
Standing with(Standing s, OrdStatus status, bool retrying) {
    s.status = status;
    s.retrying = retrying;
    return s;
}

/// After a success with `volume` done.
Standing done(Kind kind, const Standing& before, std::uint32_t code, Lots volume) {
    const Lots cum = before.cum + volume;
    const bool whole = cum == centi(10);
    switch (kind) {
        case Kind::Modify:
        case Kind::Cancel: return ended(OrdStatus::Filled, Reason::None, {});
        case Kind::Pending: {
            Standing works =
                with(before, cum.value > 0 ? OrdStatus::PartiallyFilled : OrdStatus::New,
                     before.retrying);
            works.cum = cum;
            return whole ? ended(OrdStatus::Filled, Reason::None, cum) : works;
        }
        case Kind::Close:
            if (volume.value == 0 && (code == 10025 || code == 10036)) {
                return ended(OrdStatus::Canceled, Reason::NothingToDo, {});
            }
            break;
        default: break;
    }
    if (volume.value == 0) {
        return before;  // waits for its deal, or for the answer timeout
    }
    return ended(whole ? OrdStatus::Filled : OrdStatus::Canceled, Reason::None, cum);
}

/// After a refusal of the class.
Standing refused(const Standing& before, const std::string& cls, std::uint32_t code) {
    if (code == 10036) {
        return ended(OrdStatus::Canceled, Reason::NothingToDo, before.cum);
    }
    if (cls == "REPRICE" || cls == "BACKOFF") {
        return with(before, OrdStatus::Held, true);
    }
    if (cls == "RECON") {
        return with(before, OrdStatus::InDoubt, before.retrying);
    }
    const Reason reason = cls == "QUEUE"  ? Reason::MarketClosed
                          : code == 10019 ? Reason::NoMoney
                                          : Reason::BrokerReject;
    return ended(OrdStatus::Rejected, reason, before.cum);
}

Standing expected(Kind kind, Stand stand, Word word, const Standing& before, std::uint32_t code) {
    const std::string cls = class_for(kind, code);
    const bool success = cls == "OK" || cls == "PART";
    Lots volume;
    if (word == Word::Part || word == Word::All) {
        volume = word == Word::Part ? centi(4) : centi(10) - before.cum;
    }
    const bool unanswered = stand == Stand::Sent || stand == Stand::Doubted;
    const bool deal = success && volume.value > 0;
    const bool nothing_to_do = code == 10025 || code == 10036;
    const bool contradicts = word == Word::Found && success && !nothing_to_do;
    const bool news = unanswered && word != Word::Older && !contradicts;
    if (stand == Stand::Over || (!news && !deal)) {
        return before;
    }
    return success ? done(kind, before, code, volume) : refused(before, cls, code);
}

/// Every number in a release build; with a sanitizer the listed ones and every 97th other.
bool is_tried(std::uint32_t code) {
#ifdef MILLRACE_SANITIZED
    return (code > 9990 && code < 10060) || code % 97 == 0 || code == 65'535;
#else
    static_cast<void>(code);
    return true;
#endif
}

std::string name_of(Kind k) {
    const char* names[] = {"Market", "Pending", "Close", "Modify", "Cancel"};
    return names[static_cast<int>(k)];
}

class EveryCode : public ::testing::TestWithParam<Kind> {
protected:
    /// @return what contradicts, empty if nothing does.
    std::string look(RetcodeStand& orders, Stand stand, Word word, std::uint32_t code) {
        orders.give(word, code);
        const Standing& b = orders.before;
        const Standing& a = orders.after;
        ++cases_;
        changed_ += a == b ? 0U : 1U;
        doubted_ += a.status == OrdStatus::InDoubt && b.status != OrdStatus::InDoubt ? 1U : 0U;
        if (!(a == expected(GetParam(), stand, word, b, code))) {
            return "it stands as " + std::string{to_string(a.status)} + " " +
                   std::string{to_string(a.reason)};
        }
        if (orders.orders != 0) {
            return "a report put out an order";
        }
        const bool over = b.known && is_final(b.status);
        const bool executed_again = stand == Stand::Over && orders.volume.value > 0;
        if (orders.doubles != (executed_again ? 1U : 0U)) {
            return "an execution of an order that is over is a double, and nothing else is";
        }
        const bool ends_now = a.known && is_final(a.status) && !over;
        const bool rests = stand == Stand::Working || stand == Stand::PartDone;
        if (orders.ends != (ends_now && !rests ? 1U : 0U)) {
            return "its end is told once, when it ends";
        }
        return touched(orders, code, !(a == b));
    }

    std::uint64_t cases_ = 0;
    std::uint64_t changed_ = 0;
    std::uint64_t doubted_ = 0;

private:
    /// What a refusal does to the account: 10019 reduces it, 10017 blocks its symbol, 10043 and
    /// 10044 the entries of it, the rest of the class SUSPEND suspends it.
    std::string touched(RetcodeStand& orders, std::uint32_t code, bool changed) {
        const AccountState wanted = orders.account().wanted;
        AccountState should = AccountState::Trading;
        if (changed && code == 10019) {
            should = AccountState::ReduceOnly;
        } else if (changed && code != 10017 && class_for(GetParam(), code) == "SUSPEND") {
            should = AccountState::Suspended;
        }
        const bool slower = orders.risk().rate_milli > 0;
        const bool blocked = orders.account().has_blocks;
        if (should != AccountState::Trading || slower || blocked) {
            orders.put_back();
        }
        // The entries here are buys.
        const bool entry = GetParam() == Kind::Market || GetParam() == Kind::Pending;
        const bool one_side = entry && (code == 10043 || code == 10044);
        if (blocked != (changed && (code == 10017 || one_side))) {
            return "10017 blocks the symbol, 10043 and 10044 what enters, and nothing else does";
        }
        if (slower != (changed && code == 10024)) {
            return "10024 halves the account's rate, and nothing else does";
        }
        return wanted == should ? "" : "the account is " + std::string{to_string(wanted)};
    }
};

TEST_P(EveryCode, DoesWhatItsClassSaysInEveryStateOfAnOrder) {
    for (const Stand stand : kStands) {
        if (!can_be(GetParam(), stand)) {
            continue;
        }
        RetcodeStand orders{GetParam(), stand};
        for (const Word word : kWords) {
            for (std::uint32_t code = 0; code < 65'536; ++code) {
                if (!is_tried(code)) {
                    continue;
                }
                const std::string wrong = look(orders, stand, word, code);
                ASSERT_EQ(wrong, "") << "code " << code << ", state " << static_cast<int>(stand)
                                     << ", word " << static_cast<int>(word);
            }
        }
    }
    std::printf(
        "covers: %llu reports with a code, %llu changed their order, %llu put it "
        "IN_DOUBT\n",
        static_cast<unsigned long long>(cases_), static_cast<unsigned long long>(changed_),
        static_cast<unsigned long long>(doubted_));
}
INSTANTIATE_TEST_SUITE_P(Orders, EveryCode, ::testing::ValuesIn(kKinds),
                         [](const auto& kind) { return name_of(kind.param); });

TEST(Retcode, HasTheClassOfTheReferenceForEveryCode) {
    ASSERT_EQ(reference().size(), 41U);
    ASSERT_EQ(retcode_rows().size(), 41U);
    for (std::uint32_t code = 0; code < 65'536; ++code) {
        const auto it = reference().find(code);
        // A number that nobody listed may have executed.
        ASSERT_EQ(to_string(classify(code)), it == reference().end() ? "RECON" : it->second)
            << code;
    }
    EXPECT_EQ(classify(0xFFFF'FFFF), RetcodeClass::Recon);
}

TEST(Retcode, HasTheClassOfTheReferenceAsTheAnswerToEachKindOfOrder) {
    const std::map<Kind, std::pair<CommandType, PriceKind>> commands = {
        {Kind::Market, {CommandType::Open, PriceKind::Market}},
        {Kind::Pending, {CommandType::Open, PriceKind::Limit}},
        {Kind::Close, {CommandType::Close, PriceKind::Market}},
        {Kind::Modify, {CommandType::Modify, PriceKind::Market}},
        {Kind::Cancel, {CommandType::Cancel, PriceKind::Market}}};
    for (const auto& [kind, command] : commands) {
        for (std::uint32_t code = 0; code < 65'536; ++code) {
            const std::string cls = class_for(kind, code);
            ASSERT_EQ(to_string(classify(code, command.first, command.second)),
                      cls == "MOOT" ? "REJECT" : cls)
                << code << " to " << name_of(kind);
        }
    }
}

/// Cells of a Markdown row, without their blanks.
std::vector<std::string> cells(const std::string& line) {
    std::vector<std::string> found;
    std::size_t at = 0;
    while ((at = line.find('|', at)) != std::string::npos) {
        const std::size_t end = line.find('|', at + 1);
        if (end == std::string::npos) {
            break;
        }
        std::string cell = line.substr(at + 1, end - at - 1);
        cell.erase(0, cell.find_first_not_of(' '));
        cell.erase(cell.find_last_not_of(' ') + 1);
        found.push_back(cell);
        at = end;
    }
    return found;
}

TEST(Retcode, EqualsTheTableOfTheSharedReference) {
    const std::filesystem::path path =
        std::filesystem::path{MILLRACE_ROOT}.parent_path() / "shared/reference/mt5.md";
    std::ifstream file{path};
    if (!file) {
        GTEST_SKIP() << path << " is not here: the classes are held against this file's own copy";
    }
    std::map<std::uint32_t, std::pair<std::string, std::string>> read;
    std::string line;
    while (std::getline(file, line)) {
        const std::vector<std::string> row = cells(line);
        if (row.size() >= 6 && row[0].size() == 5 && row[0].substr(0, 2) == "10") {
            const std::string cls = row[4].substr(0, row[4].find_first_of(" ,"));
            read[static_cast<std::uint32_t>(std::stoul(row[0]))] = {row[1], cls};
        }
    }
    ASSERT_EQ(read.size(), retcode_rows().size());
    for (const RetcodeRow& row : retcode_rows()) {
        EXPECT_EQ(read[row.code].first, row.name);
        EXPECT_EQ(read[row.code].second, to_string(row.cls)) << row.code;
    }
}

}  // namespace
}  // namespace millrace::test
