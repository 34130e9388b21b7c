// Reservation: which journal numbers and intent ids may have left this host. Ids are taken in
// blocks; a block is durable before any of it is used, so after the loss of a segment everything
// jumps past it and no id is used twice.
//
//     file `reservation`: | block 0, 4 KiB | block 1, 4 KiB |   written in turn, newest valid wins
//
// It also names the directory: `instance`, a random number drawn when the file is made, so with the
// directory itself. Another directory begins epochs and ids anew; an executor that has served this
// one must not take the other for it (gateway/BRIDGE.md). For the same reason a directory's intent
// ids begin at a random place: what an account's history holds under the tag is not met again.
#pragma once

#include "core/result.h"
#include "core/types.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace millrace {

inline constexpr std::uint64_t kReservationMagic = 0x31305652534D524DULL;  // "MRMSRV01"

/// Layout (bytes): 0 magic · 8 generation · 16 reserved_seq · 24 reserved_intent · 32 version ·
/// 36 crc32c of bytes 0..35 and 40..47 · 40 instance · 44 epoch; rest of the block zero.
/// Version 1 had no instance and a checksum of bytes 0..35; its directories have instance 0. Builds
/// of version 2 that knew no epoch wrote 0 there.
struct ReservationBlock {
    std::uint64_t magic = kReservationMagic;
    std::uint64_t generation = 0;       // block generation % 2 holds it
    std::uint64_t reserved_seq = 0;     // numbers below are reserved
    std::uint64_t reserved_intent = 0;  // ids below are reserved
    std::uint32_t version = 2;
    std::uint32_t crc32c = 0;
    std::uint32_t instance = 0;  // of the directory; 0: it was made before there were any
    std::uint32_t epoch = 0;     // newest that this directory was told of; 0: of none
};
static_assert(sizeof(ReservationBlock) == 48);
static_assert(offsetof(ReservationBlock, crc32c) == 36);
static_assert(offsetof(ReservationBlock, instance) == 40);
static_assert(offsetof(ReservationBlock, epoch) == 44);

/// A directory's first intent id lies below; magics have room for 45 bits.
inline constexpr std::uint64_t kFirstIntentMax = std::uint64_t{1} << 44U;

struct Reserved {
    std::uint64_t seq = 0;
    std::uint64_t intent = 0;
    std::uint32_t instance = 0;  // the directory's; not taken by reserve()
    std::uint32_t epoch = 0;     // second_directory.h: the newest that both were told of
};

class Reservation {
public:
    Reservation() = default;
    ~Reservation();
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;

    /// Opens `directory`/reservation; makes one if `may_create`: no sequence is reserved, and no
    /// intent id below a random first one will be used.
    /// @return NotFound if it is missing and may not be created (a journal without its
    /// reservation: ids could be used twice); BadChecksum if no block is valid; IoError, NoSpace.
    [[nodiscard]] static Result<Reservation> open(const std::string& directory, bool may_create,
                                                  std::string& message);

    /// Makes the reservation of a directory that takes a lost one's place: `first.instance` is the
    /// lost one's, so that its terminals take this one for it; 0 = a random one, as in open().
    /// `first.seq` and `first.intent` must lie beyond whatever the lost one may have handed out.
    /// @return IoError, NoSpace. Crash: it is there whole or not at all.
    [[nodiscard]] static Status succeed(const std::string& directory, Reserved first,
                                        std::string& message);

    /// What is reserved, for a look: opens read-only and changes nothing, not even the page cache.
    /// @return NotFound, BadChecksum, IoError as open().
    [[nodiscard]] static Result<Reserved> read(const std::string& directory, std::string& message);

    /// Makes the reservation durable before it returns. Never shrinks. Blocks for one write.
    /// @return IoError, NoSpace: final, nothing may be handed out beyond the old bounds.
    [[nodiscard]] Status reserve(const Reserved& to) noexcept;

    [[nodiscard]] const Reserved& current() const noexcept { return current_; }

private:
    [[nodiscard]] Status make(const std::string& directory, const Reserved& first,
                              std::string& message);

    int fd_ = -1;
    std::byte* block_ = nullptr;  // 4 KiB, aligned
    std::uint64_t generation_ = 0;
    Reserved current_;
    bool failed_ = false;
};

}  // namespace millrace
