// Goal: a record that was being written when its producer died, or is being written now, is shown
// and counted by no verb. Method: rings that have been round, with a claimed slot that is filled
// and never committed: its word still says the number of the lap before.
#include "tests/inspect/cli.h"
#include "tests/inspect/fixture.h"

namespace millrace::inspect {
namespace {

using nlohmann::json;

OrderSlot order(std::uint64_t seq) {
    OrderSlot o{};
    o.value.seq = Sequence{seq};
    return o;
}
JournalRecord record(std::uint64_t seq) {
    JournalRecord r{};
    r.seq = Sequence{seq};
    r.type = InputType::Continue;
    return r;
}
OrderSlot make(const OrderSlot&, std::uint64_t seq) {
    return order(seq);
}
JournalRecord make(const JournalRecord&, std::uint64_t seq) {
    return record(seq);
}

class HalfWritten : public SegmentFixture {
protected:
    /// Publishes 1 .. `count`, of which all but `kept` are released; then a producer fills the slot
    /// of the next one and dies.
    template <class T>
    void die_filling(const std::string& ring, std::uint64_t count, std::uint64_t kept = 0) {
        auto producer = RingProducer<T>::attach(segment_->ring<T>(ring));
        ASSERT_TRUE(producer.ok());
        for (std::uint64_t seq = 1; seq <= count; ++seq) {
            ASSERT_TRUE(producer.value().try_publish(make(T{}, seq)).ok());
            if (seq > kept) {
                consume<T>(ring, 1);
            }
        }
        T* slot = producer.value().claim();
        ASSERT_NE(slot, nullptr);
        *slot = make(T{}, count + 1);
    }
    std::vector<std::uint64_t> dumped(const std::string& ring) {
        std::vector<std::uint64_t> out;
        const json dump = run_json("dump", {"dump", ring, path_});
        for (const json& r : dump["records"]) {
            EXPECT_EQ(r["number"], r["record"]["seq"]) << r;
            out.push_back(r["number"]);
        }
        return out;
    }
};

TEST_F(HalfWritten, RecordIsNeitherDumpedNorTakenForARepeatedOne) {
    die_filling<OrderSlot>("orders", 20);
    EXPECT_EQ(dumped("orders"), (std::vector<std::uint64_t>{14, 15, 16, 17, 18, 19, 20}));
    EXPECT_EQ(run_cli({"ring", "orders", path_, "--last", "8"}).out.find("seq=21"),
              std::string::npos);
    const json j = run_json("verify", {"verify", path_});
    EXPECT_EQ(j["sound"], true) << j.dump(1);
}

TEST_F(HalfWritten, RecordLeavesAFullRingWhole) {
    die_filling<OrderSlot>("orders", 20, 7);
    EXPECT_EQ(dumped("orders"), (std::vector<std::uint64_t>{14, 15, 16, 17, 18, 19, 20}));
    publish("orders", order(21));  // full: all are unreleased, nobody writes
    EXPECT_EQ(dumped("orders"), (std::vector<std::uint64_t>{14, 15, 16, 17, 18, 19, 20, 21}));
}

TEST_F(HalfWritten, RecordIsNotAmongThoseThatARestartReplays) {
    die_filling<JournalRecord>("journal", 40);
    std::filesystem::create_directory(dir_ / "journal");
    segment_->core().journal_seq = segment_->core().completed = 40;
    const Ran r = run_cli({"recover", "--dry-run", path_});
    EXPECT_NE(r.out.find("replay 26 to 40 from the journal ring"), std::string::npos)
        << r.out << r.err;
    EXPECT_NE(r.out.find("replay 1 to 25 from journal files"), std::string::npos) << r.out;
}

}  // namespace
}  // namespace millrace::inspect
