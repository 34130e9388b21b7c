#include "shm/segment_schema.h"

#include <string_view>

#include "shm/segment_plan.h"

namespace millrace {
namespace {

constexpr std::uint64_t kFnvPrime = 0x100000001B3ULL;

void mix(std::uint64_t& hash, std::string_view text) noexcept {
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * kFnvPrime;
    }
    hash = (hash ^ 0) * kFnvPrime;  // an end: "ab" and "c" is not "a" and "bc"
}

void mix(std::uint64_t& hash, std::uint64_t number) noexcept {
    hash = (hash ^ number) * kFnvPrime;
}

}  // namespace

std::uint64_t hash_of(std::span<const StructPlaces> schema) noexcept {
    std::uint64_t hash = 0xCBF29CE484222325ULL;
    for (const StructPlaces& s : schema) {
        mix(hash, s.name);
        mix(hash, s.bytes);
        for (const FieldPlace& f : s.fields) {
            mix(hash, f.name);
            mix(hash, f.offset);
            mix(hash, f.bytes);
        }
    }
    return hash;
}

std::uint64_t schema_hash() noexcept {
    std::uint64_t hash = hash_of(kSchema);
    // Not in a field: how long the tables of fixed length are, and what record bodies hold.
    for (const std::uint64_t n :
         {std::uint64_t{kSymbolsMax}, std::uint64_t{kHops}, std::uint64_t{kErrors},
          std::uint64_t{kHashChecks}, kHeaderCopyOffset, std::uint64_t{kRecordVersion}}) {
        mix(hash, n);
    }
    return hash;
}

}  // namespace millrace
