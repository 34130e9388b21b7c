// Goal: no conversation, however mad, breaks the book's promises or the book.
// Method: random commands and random reports about them, the same ones again, and garbled messages;
// what must hold is checked after each. A failure prints the seed.
#include "core/retcode.h"
#include "tests/fix/fix_rig.h"

#include <rapidcheck.h>

#include <map>
#include <set>

namespace millrace::fix::test {
namespace {

/// Keeps account of what was told about each order.
class Promises {
public:
    /// @param order that a cancel or replace is about; an order's own number.
    void commanded(std::uint64_t intent, std::uint64_t order) { order_of_[intent] = order; }
    /// A report under the name of `intent` has this CumQty, of 10,000 for 0.1 lots.
    void reported(std::uint64_t intent, std::int64_t cum) {
        std::int64_t& max = cum_max_[order_of_[intent]];
        max = std::max(max, cum * (kScale / 100'000));
    }
    void check(const Answer& answer) {
        for (std::size_t i = 0; i < answer.count; ++i) {
            const bridge::Event& e = answer.events[i];
            const auto type = static_cast<ReportType>(e.type);
            const std::uint64_t intent = Magic{e.magic}.intent();
            RC_ASSERT(e.volume >= 0 && e.price >= 0);
            RC_ASSERT(e.ord_status == 0 || std::strchr("hA01248C?", e.ord_status) != nullptr);
            RC_ASSERT(e.volume == 0 || e.deal_ticket != 0U);
            if (static_cast<ExecKind>(e.exec_kind) == ExecKind::Foreign) {
                continue;
            }
            RC_ASSERT(order_of_.contains(intent));
            const bool definite = classify(e.retcode) != RetcodeClass::Recon;
            if (type == ReportType::Outcome && definite) {
                RC_ASSERT(outcomes_.insert(intent).second);
            }
            if (type == ReportType::QueryFound) {
                told_[intent] = std::max(told_[intent], e.volume);
            } else {
                told_[intent] += e.volume;
                RC_ASSERT(e.volume == 0 || deals_.insert(e.deal_ticket).second);
            }
            RC_ASSERT(told_[intent] <= cum_max_[intent]);
        }
    }

private:
    std::map<std::uint64_t, std::uint64_t> order_of_;
    std::map<std::uint64_t, std::int64_t> cum_max_;
    std::map<std::uint64_t, std::int64_t> told_;
    std::set<std::uint64_t> outcomes_;
    std::set<std::uint64_t> deals_;
};

char any_of(std::string_view set) {
    return *rc::gen::elementOf(std::string{set});
}

TEST(FixRandom, ConversationsKeepThePromises) {
    EXPECT_TRUE(rc::check([] {
        FixRig rig;
        Promises promises;
        std::uint64_t intents = 0;
        const auto steps = *rc::gen::inRange(1, 60);
        for (int step = 0; step < steps; ++step) {
            const int kind = *rc::gen::inRange(0, 10);
            const std::uint64_t about =
                intents == 0 ? 1 : *rc::gen::inRange<std::uint64_t>(1, intents + 1);
            if (intents == 0 || kind == 0) {
                ++intents;
                *rc::gen::arbitrary<bool>() ? rig.market(intents) : rig.limit(intents);
                promises.commanded(intents, intents);
            } else if (kind == 1) {
                bridge::Command c = FixRig::command(
                    *rc::gen::arbitrary<bool>() ? CommandType::Cancel : CommandType::Modify,
                    intents + 1);
                c.order_ticket = magic(about).value;
                if (rig.book.add(c).ok()) {  // not for a cancel of a cancel
                    promises.commanded(++intents, about);
                }
            } else if (kind == 2) {
                rig.take("35=9|11=" + id(magic(about)) + "|39=" + any_of("01248C") +
                         "|434=1|102=" + any_of("01236") + "|");
                promises.check(rig.last);
            } else if (kind == 3) {
                rig.take("35=j|379=" + id(magic(about)) + "|380=" + any_of("0123456") + "|");
                promises.check(rig.last);
            } else {
                const char exec = any_of("0123456789ABCDEFGHI");
                const char status = any_of("0123456789ABCE");
                const int cum = *rc::gen::inRange(0, 11) * 1'000;
                promises.reported(about, cum);
                rig.report(about, exec, status, cum, "32=" + std::to_string(cum) + "|31=1.1|");
                promises.check(rig.last);
            }
        }
    }));
}

TEST(FixRandom, GarbledMessagesAreRefusedOrHarmless) {
    EXPECT_TRUE(rc::check([] {
        FixRig rig;
        rig.market(1);
        rig.limit(2);
        std::string fields =
            "35=" +
            *rc::gen::elementOf(std::vector<std::string>{"8", "9", "j", "3", "5", "0", "AE"}) + "|";
        const auto n = *rc::gen::inRange(0, 25);
        for (int i = 0; i < n; ++i) {
            const int tag = *rc::gen::elementOf(std::vector<int>{
                6,  11, 14, 17, 20, 31,  32,  37,  38,  39,  41,  43,  45,  48,  54,
                55, 58, 60, 95, 96, 102, 103, 150, 372, 373, 379, 380, 434, 721, 9041});
            const auto value = *rc::gen::elementOf(std::vector<std::string>{
                "", "0", "1", "2", "4", "8", "F", "I", "H", "Y", "10000", "99999999999999999999",
                "92233720368.54775807", "-1", "1.1", "x", id(magic(1)), id(magic(2)), "EUR/USD"});
            fields += std::to_string(tag) + "=" + value + "|";
        }
        rig.take(fields);
        for (std::size_t i = 0; i < rig.last.count; ++i) {
            RC_ASSERT(rig.last.events[i].volume >= 0);
            RC_ASSERT(rig.last.events[i].price >= 0);
        }
    }));
}

TEST(FixRandom, BytesWithoutSenseAreRefused) {
    EXPECT_TRUE(rc::check([](const std::string& noise) {
        RC_ASSERT(!Message::parse(noise).ok());
        const std::string framed = seal("35=8|") + noise;
        RC_ASSERT(noise.empty() || !Message::parse(framed).ok());
    }));
}

}  // namespace
}  // namespace millrace::fix::test
