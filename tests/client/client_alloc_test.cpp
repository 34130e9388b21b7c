// Goal: a strategy that submits, polls, looks at prices and is refused allocates nothing once it is
// open. Method: operator new aborts in all calls of the client library.
#include "gateway/client/millrace_client.hpp"
#include "tests/alloc/trapping_new.h"
#include "tests/ingress/fixture.h"

namespace millrace::ingress_test {
namespace {

/// What `call` returns; an allocation in it aborts.
template <class Call>
auto trapped(Call&& call) {
    test::trap_allocations = true;
    auto result = call();
    test::trap_allocations = false;
    return result;
}

TEST(ClientAllocation, NeverAllocatesFromSubmitToResultNorForAMistake) {
    TempDir dir;
    Segment segment = make_segment(dir, 8, 64, {{"scalper", SourceId{7}}});
    EngineStandIn engine{segment, "scalper"};
    client::Strategy s;
    ASSERT_EQ(s.open(dir.file("segment"), "scalper"), MR_OK) << client::Strategy::error();
    ASSERT_GT(test::allocations, 0U) << "the trap is not in place";
    client::Signal signal{};
    signal.action = MR_OPEN;
    signal.volume = MR_SCALE;
    int told = 0;
    int full = 0;
    const auto poll = [&] {
        return trapped([&] { return s.poll([&](const client::Result&) { ++told; }); });
    };
    for (std::uint64_t n = 1; n <= 500; ++n) {
        signal.id = {1, n};
        full += trapped([&] { return s.submit(signal); }) == MR_FULL ? 1 : 0;
        client::Quote quote{};
        (void)trapped([&] { return s.tick(0, quote); });
        (void)trapped([&] { return s.wait(0); });
        if (n % 10 == 0) {  // the ring of eight is full by then
            engine.step();
            poll();
        }
    }
    EXPECT_EQ(full, 100);
    EXPECT_EQ(told, 400);
    signal.volume = -1;
    EXPECT_LT(trapped([&] { return s.submit(signal); }), 0) << "a mistake is named without it too";
}

}  // namespace
}  // namespace millrace::ingress_test
