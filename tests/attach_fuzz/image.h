// Image: a segment file at rest with rings in every state, held open for damage; after each
// attempt to attach it must be, byte for byte, what the damage left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "shm/segment.h"
#include "shm/segment_fields.h"
#include "tests/attach_fuzz/traffic.h"

namespace millrace::test {

/// A place in the file and what has to happen if a byte of it changes.
struct Guarded {
    std::string name;
    std::uint64_t offset;
    std::uint64_t bytes;
};

struct Attempt {
    Errc code;
    std::string message;
};

/// Everything in a segment that must not change after creation. @param good its bytes.
[[nodiscard]] std::vector<Guarded> guarded_in(std::span<const std::byte> good);

class Image {
public:
    Image();
    ~Image();
    Image(const Image&) = delete;
    Image& operator=(const Image&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::span<std::byte> bytes() { return {bytes_, good_.size()}; }
    [[nodiscard]] const std::vector<std::byte>& good() const { return good_; }
    [[nodiscard]] const SegmentHeader& header() const;
    [[nodiscard]] const RingEntry& entry(std::uint32_t ring) const;

    /// Attaches to the file as it is and, to write, checks each source's own rings besides, as
    /// their users do. Counts it; fails the test if a byte changed thereby.
    Attempt attach(Segment::Mode mode);
    /// Undoes all damage.
    void heal();

    [[nodiscard]] std::vector<Guarded> guarded() const { return guarded_in(good_); }
    /// Where a ring's read cursor and its slots' numbers lie.
    [[nodiscard]] std::uint64_t cursor_at(std::uint32_t ring) const;
    [[nodiscard]] std::uint64_t number_at(std::uint32_t ring, std::uint64_t slot) const;
    [[nodiscard]] std::uint64_t word(std::uint64_t offset) const;
    void put_word(std::uint64_t offset, std::uint64_t value);
    /// By the ring's rule, said another way than the code under test says it: may these numbers
    /// stand in a ring?
    [[nodiscard]] bool numbers_possible(std::uint32_t ring) const;

    static inline std::uint64_t attempts = 0;

private:
    TempDir dir_;
    std::string path_;
    std::vector<std::byte> good_;
    std::byte* bytes_ = nullptr;
};

}  // namespace millrace::test
