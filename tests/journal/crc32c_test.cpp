// Goal: the checksum is the standard's, and asking for it does not make the code behind it slow.
// Method: the check value; the processor's own word on which vector registers are in use.
#include "core/crc32c.h"

#include <gtest/gtest.h>

#include <cpuid.h>

#include <array>
#include <string_view>
#include <vector>

namespace millrace {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span{text.data(), text.size()});
}

TEST(Crc32c, IsTheOneOfTheStandard) {
    EXPECT_EQ(crc32c(bytes_of("123456789")), 0xE3069283U);
    EXPECT_EQ(crc32c({}), 0U);
    EXPECT_EQ(~crc32c_more(crc32c_more(kCrc32cInit, bytes_of("1234")), bytes_of("56789")),
              0xE3069283U);
}

// XGETBV with 1 says which parts of the state are not as after a reset: 2 the upper halves of the
// first 16 registers, 6 the upper halves of those again.
__attribute__((target("xsave"))) std::uint64_t state_in_use() {
    return __builtin_ia32_xgetbv(1);
}
constexpr std::uint64_t kUpperHalves = (1U << 2U) | (1U << 6U);

bool can_be_asked() {
    std::array<unsigned, 4> r{};
    return __get_cpuid_count(0xD, 1, r.data(), &r[1], &r[2], &r[3]) != 0 && (r[0] & 4U) != 0;
}

TEST(Crc32c, LeavesNoUpperHalvesOfVectorRegistersInUse) {
    if (!can_be_asked()) {
        GTEST_SKIP() << "this processor does not tell which registers are in use";
    }
    const std::vector<std::byte> data(8192, std::byte{0x5A});
    for (const std::size_t bytes : {8U, 188U, 300U, 4096U, 8192U}) {
        const std::uint32_t sum = crc32c(std::span{data}.first(bytes));
        const std::uint64_t in_use = state_in_use() & kUpperHalves;
        EXPECT_EQ(in_use, 0U) << bytes << " bytes, checksum " << sum;
    }
}

}  // namespace
}  // namespace millrace
