// Goal: every combination of ExecType and OrdStatus that FIX 4.4 has for one order does what the
// table in gateway/fix/README.md says, for orders that are done at once and for pending ones.
// Method: one report per row, on a fresh order, with quantities as the specification has them.
#include "tests/fix/fix_rig.h"

namespace millrace::fix::test {
namespace {

struct Row {
    const char* what;
    char exec_type;
    char ord_status;
    int cum;              // of 10000
    const char* market;   // what a fresh market order tells
    const char* pending;  // what a fresh limit order tells
};

constexpr Row kRows[] = {
    {"received", 'A', 'A', 0, "| Pending", "| Pending"},
    {"accepted", '0', '0', 0, "", "Outcome#1 10008 0"},
    {"rejected", '8', '8', 0, "Outcome#1 10006 8", "Outcome#1 10006 8"},
    {"partial fill", 'F', '1', 4000, "", "Outcome#1 10009 1 0.04@1.1"},
    {"final fill", 'F', '2', 10000, "Outcome#1 10009 2 0.1@1.1", "Outcome#1 10009 2 0.1@1.1"},
    {"fill as FIX 4.2 says it", '1', '1', 4000, "", "Outcome#1 10009 1 0.04@1.1"},
    {"final fill of FIX 4.2", '2', '2', 10000, "Outcome#1 10009 2 0.1@1.1",
     "Outcome#1 10009 2 0.1@1.1"},
    {"fill while a cancel is pending", 'F', '6', 4000, "| Pending", "Outcome#1 10009 1 0.04@1.1"},
    {"last fill while a cancel is pending", 'F', '6', 10000, "Outcome#1 10009 2 0.1@1.1",
     "Outcome#1 10009 2 0.1@1.1"},
    {"fill while a replace is pending", 'F', 'E', 4000, "| Pending", "Outcome#1 10009 1 0.04@1.1"},
    {"cancel pending", '6', '6', 0, "| Pending", "Outcome#1 10008 0"},
    {"cancelled", '4', '4', 0, "Outcome#1 10007 4", "Exec#1 canceled 4"},
    {"cancelled after a part", '4', '4', 4000, "Outcome#1 10010 4 0.04@1.1",
     "Outcome#1 10009 1 0.04@1.1; Exec#1 canceled 4"},
    {"replace pending", 'E', 'E', 0, "| Pending", "Outcome#1 10008 0"},
    {"replaced", '5', '0', 0, "", "Outcome#1 10008 0"},
    {"replaced as FIX 4.2 says it", '5', '5', 0, "", "Outcome#1 10008 0"},
    {"expired", 'C', 'C', 0, "Outcome#1 10007 C", "Exec#1 canceled C"},
    {"expired after a part", 'C', 'C', 4000, "Outcome#1 10010 4 0.04@1.1",
     "Outcome#1 10009 1 0.04@1.1; Exec#1 canceled C"},
    {"done for day", '3', '3', 0, "Outcome#1 10007 4", "Outcome#1 10008 0"},
    {"done for day after a part", '3', '3', 4000, "Outcome#1 10010 4 0.04@1.1",
     "Outcome#1 10009 1 0.04@1.1"},
    {"stopped: guaranteed, not done", '7', '7', 0, "", "Outcome#1 10008 0"},
    {"stopped with a quantity", 'F', '7', 10000, "", "Outcome#1 10008 0"},
    {"suspended", '9', '9', 0, "", "Outcome#1 10008 0"},
    {"restated, working", 'D', '0', 0, "", "Outcome#1 10008 0"},
    {"calculated", 'B', 'B', 10000, "Outcome#1 10009 2 0.1@1.1", "Outcome#1 10009 2 0.1@1.1"},
    {"rejected after a part", '8', '8', 4000, "Outcome#1 10010 4 0.04@1.1",
     "Outcome#1 10009 1 0.04@1.1; Exec#1 canceled 4"},
    {"bust", 'H', '0', 0, "| Bust", "| Bust"},
    {"correction", 'G', '1', 4000, "| Correct", "Outcome#1 10009 1 0.04@1.1 | Correct"},
    {"filled with nothing", 'F', '2', 0, "| Contradiction", "| Contradiction"},
    {"status: received", 'I', 'A', 0, "Unknown#1 0 A | Status", "Unknown#1 0 A | Status"},
    {"status: working", 'I', '0', 0, "Unknown#1 0 A | Status", "Found#1 10009 0 | Status"},
    {"status: part done", 'I', '1', 4000, "Unknown#1 0 A | Status",
     "Found#1 10009 1 0.04@1.1 | Status"},
    {"status: filled", 'I', '2', 10000, "Found#1 10009 2 0.1@1.1 | Status",
     "Found#1 10009 2 0.1@1.1 | Status"},
    {"status: filled with nothing", 'I', '2', 0, "Unknown#1 0 ? | Contradiction",
     "Unknown#1 0 ? | Contradiction"},
    {"status: cancelled", 'I', '4', 4000, "Found#1 10009 4 0.04@1.1 | Status",
     "Found#1 10009 4 0.04@1.1 | Status"},
    {"status: expired", 'I', 'C', 0, "Found#1 10009 C | Status", "Found#1 10009 C | Status"},
    {"status: rejected", 'I', '8', 0, "Found#1 10006 8 | Status", "Found#1 10006 8 | Status"},
    {"status: cancel pending", 'I', '6', 4000, "Unknown#1 0 A | Status",
     "Found#1 10009 1 0.04@1.1 | Pending"},
    {"status: stopped", 'I', '7', 0, "Unknown#1 0 A | Status", "Unknown#1 0 A | Status"},
};

std::string fill_of(const Row& row) {
    return row.cum > 0 ? "32=" + std::to_string(row.cum) + "|31=1.1|" : "32=0|31=0|";
}

TEST(FixTable, HoldsForMarketOrders) {
    for (const Row& row : kRows) {
        FixRig rig;
        rig.market(1);
        EXPECT_EQ(rig.report(1, row.exec_type, row.ord_status, row.cum, fill_of(row)), row.market)
            << row.what;
    }
}

TEST(FixTable, HoldsForPendingOrders) {
    for (const Row& row : kRows) {
        FixRig rig;
        rig.limit(1);
        EXPECT_EQ(rig.report(1, row.exec_type, row.ord_status, row.cum, fill_of(row)), row.pending)
            << row.what;
    }
}

/// After an order is over nothing but an execution is told, and that as an alert.
TEST(FixTable, LeavesFinalOrdersAlone) {
    for (const Row& row : kRows) {
        for (const bool pending : {false, true}) {
            FixRig rig;
            pending ? rig.limit(1) : rig.market(1);
            rig.report(1, 'F', '2', 10'000, "32=10000|31=1.1|");
            const std::string line =
                rig.report(1, row.exec_type, row.ord_status, row.cum, fill_of(row));
            const bool status = row.exec_type == 'I';
            EXPECT_TRUE(status || rig.last.count == 0) << row.what << ": " << line;
        }
    }
}

/// Whatever comes when: at most one Outcome, fills never sum up to more than CumQty's maximum, and
/// every event is one that the broker stage takes.
TEST(FixTable, KeepsItsPromisesOverAllPairsAndTriples) {
    for (const bool pending : {false, true}) {
        for (const Row& a : kRows) {
            for (const Row& b : kRows) {
                for (const Row& c : kRows) {
                    FixRig rig;
                    pending ? rig.limit(1) : rig.market(1);
                    int outcomes = 0;
                    std::int64_t told = 0;
                    int cum = 0;
                    for (const Row* row : {&a, &b, &c}) {
                        rig.report(1, row->exec_type, row->ord_status, row->cum, fill_of(*row));
                        cum = std::max(cum, row->cum);
                        for (std::size_t i = 0; i < rig.last.count; ++i) {
                            const bridge::Event& e = rig.last.events[i];
                            const auto type = static_cast<ReportType>(e.type);
                            outcomes += type == ReportType::Outcome ? 1 : 0;
                            // QueryFound cumulates, the others add.
                            told = type == ReportType::QueryFound ? std::max(told, e.volume)
                                                                  : told + e.volume;
                            ASSERT_GE(e.volume, 0);
                            ASSERT_GE(e.price, 0);
                            ASSERT_TRUE(e.volume == 0 || e.deal_ticket != 0);
                        }
                    }
                    ASSERT_LE(outcomes, 1) << a.what << ", " << b.what << ", " << c.what;
                    ASSERT_LE(told, cum * (kScale / 100'000))
                        << pending << ' ' << a.what << ", " << b.what << ", " << c.what;
                }
            }
        }
    }
}

}  // namespace
}  // namespace millrace::fix::test
