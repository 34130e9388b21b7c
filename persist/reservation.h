// Reservation: which journal numbers and intent ids may have left this host. Ids are taken in
// blocks; a block is durable before any of it is used, so after the loss of a segment everything
// jumps past it and no id is used twice.
//
//     file `reservation`: | block 0, 4 KiB | block 1, 4 KiB |   written in turn, newest valid wins
#pragma once

#include "core/result.h"
#include "core/types.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace millrace {

inline constexpr std::uint64_t kReservationMagic = 0x31305652534D524DULL;  // "MRMSRV01"

/// Layout (bytes): 0 magic · 8 generation · 16 reserved_seq · 24 reserved_intent · 32 version ·
/// 36 crc32c of bytes 0..35; rest of the block zero.
struct ReservationBlock {
    std::uint64_t magic = kReservationMagic;
    std::uint64_t generation = 0;       // block generation % 2 holds it
    std::uint64_t reserved_seq = 0;     // numbers below are reserved
    std::uint64_t reserved_intent = 0;  // ids below are reserved
    std::uint32_t version = 1;
    std::uint32_t crc32c = 0;
};
static_assert(sizeof(ReservationBlock) == 40);

struct Reserved {
    std::uint64_t seq = 0;
    std::uint64_t intent = 0;
};

class Reservation {
public:
    Reservation() = default;
    ~Reservation();
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;

    /// Opens `directory`/reservation; makes one (nothing reserved) if `may_create`.
    /// @return NotFound if it is missing and may not be created (a journal without its
    /// reservation: ids could be used twice); BadChecksum if no block is valid; IoError, NoSpace.
    [[nodiscard]] static Result<Reservation> open(const std::string& directory, bool may_create,
                                                  std::string& message);

    /// What is reserved, for a look: opens read-only and changes nothing, not even the page cache.
    /// @return NotFound, BadChecksum, IoError as open().
    [[nodiscard]] static Result<Reserved> read(const std::string& directory, std::string& message);

    /// Makes the reservation durable before it returns. Never shrinks. Blocks for one write.
    /// @return IoError, NoSpace: final, nothing may be handed out beyond the old bounds.
    [[nodiscard]] Status reserve(const Reserved& to) noexcept;

    [[nodiscard]] const Reserved& current() const noexcept { return current_; }

private:
    int fd_ = -1;
    std::byte* block_ = nullptr;  // 4 KiB, aligned
    std::uint64_t generation_ = 0;
    Reserved current_;
    bool failed_ = false;
};

}  // namespace millrace
