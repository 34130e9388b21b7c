// One block of the tick log: what was recorded, as deltas in varints, LZ4, CRC32C.
//
//     0      4        8      12      16           24          32       36        40
//     | magic | packed | raw  | count | first_time | last_time | kind   | crc32c  | LZ4 block ...
//
// `crc32c` is over the whole block with this field zero. Raw is a row of entries, each begun by
// varint(series << 2 | kind): Define, Tick, Filled (a back-filled tick) or Mark. Series are
// numbered by the Defines of their file, which stand in Dictionary blocks: a reader that wants
// other times passes over Data blocks unread. A tick is the difference from the one before of its
// series in the block, the first one from its Define (price, number) and from the block's first
// time: zigzag varints of number - 1 (Tick only), time, bid and spread, in the Define's units.
#pragma once

#include "core/result.h"
#include "core/types.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace millrace::ticklog {

/// One source's ticks of one symbol. `symbol` is the canonical name.
struct SeriesKey {
    std::uint64_t feed = 0;  // login of the account whose terminal tells them
    Text<16> symbol;
    friend auto operator<=>(const SeriesKey&, const SeriesKey&) = default;
};

/// A tick as its source told it.
struct LogTick {
    std::uint64_t seq = 0;  // of its series in the source's stream, from 1; 0 = back-filled
    Nanos time{};           // the source's, UTC
    Price bid{};
    Price ask{};
    friend bool operator==(const LogTick&, const LogTick&) = default;
};

enum class MarkType : std::uint8_t {
    State = 1,      // the series stands at stream, seq, time, count: a file begins, or a stream
    GapOpened = 2,  // ticks are missing: gap, after count ticks at time, to `to`; missing
    GapMoved = 3,   // the Filled that follow are gap's; missing from after count ticks at time on
    GapClosed = 4,  // gap is over: `missing` were filled by this process; result
    HeadEnd = 5,    // of no series: the states and open gaps that a file begins with are whole
};
enum class GapResult : std::uint8_t {
    Open = 0,
    Filled = 1,  // every tick that was known to be missing
    Lost = 2,    // the source has not got (all of) them any more
};

/// What happened to a series, between its ticks. Fields by type; the others are 0.
struct Mark {
    MarkType type{};
    GapResult result{};
    std::uint64_t stream = 0;
    std::uint64_t seq = 0;  // State; of a gap: ticks at `to` that are of it, 0 = all
    Nanos time{};
    std::uint64_t count = 0;    // ticks of the series at exactly `time`
    std::uint64_t gap = 0;      // id, unique in the log
    Nanos to{};                 // inclusive
    std::uint64_t missing = 0;  // ticks; 0 = not known, all up to `to`
};

enum class EntryKind : std::uint8_t { Define = 0, Tick = 1, Filled = 2, Mark = 3 };
enum class BlockKind : std::uint32_t { Dictionary = 1, Data = 2 };

inline constexpr std::uint32_t kBlockMagic = 0x4B4C4254;  // "TBLK"
/// A block is closed at this size at the latest, and is never larger than twice of it.
inline constexpr std::size_t kBlockBytes = 256 * 1024;

struct BlockHeader {
    std::uint32_t magic = kBlockMagic;
    std::uint32_t packed_bytes = 0;
    std::uint32_t raw_bytes = 0;
    std::uint32_t count = 0;
    std::int64_t first_time_ns = 0;  // of the ticks in it; first > last = none
    std::int64_t last_time_ns = 0;
    BlockKind kind = BlockKind::Data;
    std::uint32_t crc32c = 0;
};
static_assert(sizeof(BlockHeader) == 40 && offsetof(BlockHeader, crc32c) == 36);

/// What a Define says: the units its ticks are multiples of, and where deltas begin.
struct SeriesDefine {
    SeriesKey key;
    std::int64_t price_unit = 1;  // power of ten
    std::int64_t time_unit = 1;   // 1, 1e3 or 1e6 ns
    std::uint64_t seq = 0;
    std::int64_t bid = 0;
    std::int64_t ask = 0;
};

/// Writes the blocks of one file. Threads: one.
class BlockWriter {
public:
    /// Begins anew, for another file.
    void reset();
    void tick(const SeriesKey& key, const LogTick& tick, bool filled);
    void mark(const SeriesKey& key, const Mark& mark);
    /// Raw bytes that wait for take(). The writer's user takes them at kBlockBytes.
    [[nodiscard]] std::size_t bytes() const noexcept {
        return std::max(data_.size(), defines_.size());
    }
    /// Appends what waits to `out`, as up to two blocks, and forgets it.
    void take(std::vector<std::byte>& out);

private:
    struct Series {
        SeriesDefine define;
        bool defined = false;
        bool has_units = false;  // a tick has said them; marks alone do not
        std::uint32_t number = 0;
        std::uint64_t block = 0;  // the last one it had a tick in
        LogTick last;
    };
    Series& series_of(const SeriesKey& key, const LogTick* tick);
    void append_block(std::vector<std::byte>& out, BlockKind kind, std::vector<std::byte>& raw,
                      std::uint32_t count);

    std::map<SeriesKey, Series> series_;
    std::vector<std::byte> data_;
    std::vector<std::byte> defines_;
    std::vector<std::byte> packed_;
    std::uint32_t next_number_ = 0;
    std::uint32_t entries_ = 0;
    std::uint32_t defined_ = 0;
    std::uint64_t block_ = 1;
    std::int64_t base_time_ = 0;
    std::int64_t first_time_ = INT64_MAX;
    std::int64_t last_time_ = INT64_MIN;
};

/// What is in a block, one by one.
class EntryVisitor {
public:
    virtual ~EntryVisitor() = default;
    virtual void on_tick(const SeriesKey& key, const LogTick& tick, bool filled) = 0;
    virtual void on_mark(const SeriesKey& key, const Mark& mark) = 0;
};

/// Reads the blocks of one file, in their order. Threads: one.
class BlockReader {
public:
    /// The header of a block at the front of `bytes`.
    /// @return TornTail (fewer bytes than it says), BadMagic, BadLayout, BadChecksum.
    [[nodiscard]] static Result<BlockHeader> check(std::span<const std::byte> bytes) noexcept;

    /// Unpacks a block that check() has passed. A Dictionary must always be read.
    /// @return BadLayout: its entries contradict each other (those before were visited).
    [[nodiscard]] Status read(std::span<const std::byte> block, EntryVisitor& visitor);

private:
    std::vector<SeriesDefine> defines_;
    std::vector<std::byte> raw_;
    struct Last {
        std::uint64_t block = 0;
        LogTick tick;
    };
    std::vector<Last> last_;
    std::uint64_t block_ = 0;
};

}  // namespace millrace::ticklog
