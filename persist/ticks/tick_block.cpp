#include "persist/ticks/tick_block.h"

#include "core/crc32c.h"

#include <lz4.h>

#include <algorithm>
#include <cstring>

namespace millrace::ticklog {
namespace {

constexpr std::size_t kSeriesMax = 1U << 20U;

void put(std::vector<std::byte>& out, std::uint64_t value) {
    while (value >= 0x80) {
        out.push_back(static_cast<std::byte>(value | 0x80U));
        value >>= 7U;
    }
    out.push_back(static_cast<std::byte>(value));
}

// Differences wrap: any two numbers have one, and reading adds it back.
std::uint64_t zigzag(std::uint64_t difference) noexcept {
    return (difference << 1U) ^ (0 - (difference >> 63U));
}
std::uint64_t unzigzag(std::uint64_t coded) noexcept {
    return (coded >> 1U) ^ (0 - (coded & 1U));
}
std::uint64_t minus(std::int64_t a, std::int64_t b) noexcept {
    return static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b);
}
void put_difference(std::vector<std::byte>& out, std::uint64_t difference, std::int64_t unit) {
    put(out, zigzag(static_cast<std::uint64_t>(static_cast<std::int64_t>(difference) / unit)));
}

/// The largest unit of `units` (descending, the last is 1) that divides all of `values`.
template <std::size_t N>
std::int64_t unit_of(const std::int64_t (&units)[N], std::initializer_list<std::int64_t> values) {
    for (const std::int64_t unit : units) {
        if (std::all_of(values.begin(), values.end(),
                        [unit](std::int64_t v) { return v % unit == 0; })) {
            return unit;
        }
    }
    return 1;
}
constexpr std::int64_t kPriceUnits[] = {kScale, 10'000'000, 1'000'000, 100'000, 10'000,
                                        1'000,  100,        10,        1};
constexpr std::int64_t kTimeUnits[] = {1'000'000, 1'000, 1};

bool fits(const SeriesDefine& d, const LogTick& t) noexcept {
    return t.bid.value % d.price_unit == 0 && t.ask.value % d.price_unit == 0 &&
           t.time.value % d.time_unit == 0;
}

void put_define(std::vector<std::byte>& out, const SeriesDefine& d) {
    put(out, static_cast<std::uint64_t>(EntryKind::Define));
    put(out, d.key.feed);
    for (const char c : d.key.symbol.bytes) {
        out.push_back(static_cast<std::byte>(c));
    }
    for (const std::int64_t v : {d.price_unit, d.time_unit, d.bid, d.ask}) {
        put(out, static_cast<std::uint64_t>(v));
    }
    put(out, d.seq);
}

std::uint32_t crc_of(std::span<const std::byte> block) noexcept {
    constexpr std::byte kZero[4]{};
    std::uint32_t crc = crc32c_more(kCrc32cInit, block.first(offsetof(BlockHeader, crc32c)));
    crc = crc32c_more(crc, kZero);
    return ~crc32c_more(crc, block.subspan(sizeof(BlockHeader)));
}

/// Reads varints up to the end; past it everything is 0 and `bad` is set.
struct Cursor {
    std::span<const std::byte> bytes;
    std::size_t at = 0;
    bool bad = false;

    std::uint64_t get() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (at == bytes.size()) {
                break;
            }
            const auto b = static_cast<std::uint64_t>(bytes[at++]);
            value |= (b & 0x7FU) << shift;
            if (b < 0x80) {
                return value;
            }
        }
        bad = true;
        return 0;
    }
    std::uint64_t difference(std::int64_t unit) noexcept {
        return unzigzag(get()) * static_cast<std::uint64_t>(unit);
    }
    void text(Text<16>& out) noexcept {
        if (bytes.size() - at < sizeof out.bytes) {
            bad = true;
            return;
        }
        std::memcpy(out.bytes, bytes.data() + at, sizeof out.bytes);
        at += sizeof out.bytes;
    }
};

SeriesDefine get_define(Cursor& in) noexcept {
    SeriesDefine d;
    d.key.feed = in.get();
    in.text(d.key.symbol);
    for (std::int64_t* v : {&d.price_unit, &d.time_unit, &d.bid, &d.ask}) {
        *v = static_cast<std::int64_t>(in.get());
    }
    d.seq = in.get();
    in.bad = in.bad || d.price_unit <= 0 || d.time_unit <= 0;
    return d;
}

Mark get_mark(Cursor& in) noexcept {
    Mark m;
    m.type = static_cast<MarkType>(in.get());
    m.result = static_cast<GapResult>(in.get());
    m.stream = in.get();
    m.seq = in.get();
    m.time = Nanos{static_cast<std::int64_t>(in.get())};
    m.count = in.get();
    m.gap = in.get();
    m.to = Nanos{static_cast<std::int64_t>(in.get())};
    m.missing = in.get();
    return m;
}

}  // namespace

void BlockWriter::reset() {
    *this = {};
}

/// @param tick that its units must fit; null = any.
BlockWriter::Series& BlockWriter::series_of(const SeriesKey& key, const LogTick* tick) {
    Series& s = series_[key];
    const bool has_units = s.has_units;
    if (s.defined && (tick == nullptr || (has_units && fits(s.define, *tick)))) {
        return s;
    }
    const LogTick from = tick != nullptr ? *tick : LogTick{};
    SeriesDefine& d = s.define;
    // A finer unit than before, never a coarser one: a feed with five digits has many ticks that
    // would do with four, and each change costs a Define.
    const std::int64_t price =
        tick == nullptr ? 1 : unit_of(kPriceUnits, {from.bid.value, from.ask.value});
    const std::int64_t time = tick == nullptr ? 1 : unit_of(kTimeUnits, {from.time.value});
    d.price_unit = has_units ? std::min(d.price_unit, price) : price;
    d.time_unit = has_units ? std::min(d.time_unit, time) : time;
    s.defined = true;
    s.has_units = has_units || tick != nullptr;
    d.key = key;
    d.bid = from.bid.value;
    d.ask = from.ask.value;
    d.seq = from.seq;
    s.number = next_number_++;
    s.block = 0;
    put_define(defines_, d);
    ++defined_;
    return s;
}

void BlockWriter::tick(const SeriesKey& key, const LogTick& tick, bool filled) {
    if (entries_ == 0 || first_time_ > last_time_) {
        base_time_ = tick.time.value;
    }
    Series& s = series_of(key, &tick);
    const SeriesDefine& d = s.define;
    const bool first = s.block != block_;
    const LogTick base{d.seq, Nanos{base_time_ - base_time_ % d.time_unit}, Price{d.bid},
                       Price{d.ask}};
    const LogTick& last = first ? base : s.last;
    put(data_, std::uint64_t{s.number} << 2U |
                   static_cast<std::uint64_t>(filled ? EntryKind::Filled : EntryKind::Tick));
    if (!filled) {
        put(data_, zigzag(tick.seq - last.seq - 1));
    }
    put_difference(data_, minus(tick.time.value, last.time.value), d.time_unit);
    put_difference(data_, minus(tick.bid.value, last.bid.value), d.price_unit);
    put_difference(data_,
                   minus(tick.ask.value, tick.bid.value) - minus(last.ask.value, last.bid.value),
                   d.price_unit);
    const std::uint64_t seq = filled ? last.seq : tick.seq;
    s.block = block_;
    s.last = tick;
    s.last.seq = seq;
    first_time_ = std::min(first_time_, tick.time.value);
    last_time_ = std::max(last_time_, tick.time.value);
    ++entries_;
}

void BlockWriter::mark(const SeriesKey& key, const Mark& m) {
    const Series& s = series_of(key, nullptr);
    put(data_, std::uint64_t{s.number} << 2U | static_cast<std::uint64_t>(EntryKind::Mark));
    put(data_, static_cast<std::uint64_t>(m.type));
    put(data_, static_cast<std::uint64_t>(m.result));
    for (const std::uint64_t v :
         {m.stream, m.seq, static_cast<std::uint64_t>(m.time.value), m.count, m.gap,
          static_cast<std::uint64_t>(m.to.value), m.missing}) {
        put(data_, v);
    }
    ++entries_;
}

void BlockWriter::append_block(std::vector<std::byte>& out, BlockKind kind,
                               std::vector<std::byte>& raw, std::uint32_t count) {
    ASSERT(raw.size() <= 2 * kBlockBytes);  // else nobody could read it: see check()
    const auto raw_bytes = static_cast<int>(raw.size());
    packed_.resize(static_cast<std::size_t>(LZ4_compressBound(raw_bytes)));
    const int packed = LZ4_compress_default(reinterpret_cast<const char*>(raw.data()),
                                            reinterpret_cast<char*>(packed_.data()), raw_bytes,
                                            static_cast<int>(packed_.size()));
    ASSERT(packed > 0);
    BlockHeader h;
    h.packed_bytes = static_cast<std::uint32_t>(packed);
    h.raw_bytes = static_cast<std::uint32_t>(raw_bytes);
    h.count = count;
    h.kind = kind;
    // Where deltas of time begin is the first tick's, which need not be the earliest.
    h.first_time_ns = kind == BlockKind::Data ? first_time_ : 0;
    h.last_time_ns = kind == BlockKind::Data ? last_time_ : 0;
    const std::size_t at = out.size();
    out.resize(at + sizeof h + h.packed_bytes);
    std::memcpy(out.data() + at, &h, sizeof h);
    std::memcpy(out.data() + at + sizeof h, packed_.data(), h.packed_bytes);
    h.crc32c = crc_of(std::span{out}.subspan(at));
    std::memcpy(out.data() + at, &h, sizeof h);
    raw.clear();
}

void BlockWriter::take(std::vector<std::byte>& out) {
    if (defined_ != 0) {
        append_block(out, BlockKind::Dictionary, defines_, defined_);
        defined_ = 0;
    }
    if (entries_ != 0) {
        // The base of the block's times leads its entries.
        std::vector<std::byte> raw;
        raw.reserve(data_.size() + 10);
        put(raw, static_cast<std::uint64_t>(base_time_));
        raw.insert(raw.end(), data_.begin(), data_.end());
        append_block(out, BlockKind::Data, raw, entries_);
    }
    data_.clear();
    entries_ = 0;
    ++block_;
    base_time_ = 0;
    first_time_ = INT64_MAX;
    last_time_ = INT64_MIN;
}

Result<BlockHeader> BlockReader::check(std::span<const std::byte> bytes) noexcept {
    BlockHeader h;
    if (bytes.size() < sizeof h) {
        return {Errc::TornTail, "ends inside a block's header"};
    }
    std::memcpy(&h, bytes.data(), sizeof h);
    if (h.magic != kBlockMagic) {
        return {Errc::BadMagic, "no block begins here"};
    }
    if (h.raw_bytes == 0 || h.raw_bytes > 16 * kBlockBytes || h.packed_bytes == 0 ||
        h.packed_bytes > static_cast<std::uint32_t>(LZ4_compressBound(16 * kBlockBytes))) {
        return {Errc::BadLayout, "a block's sizes are not possible"};
    }
    if (bytes.size() - sizeof h < h.packed_bytes) {
        return {Errc::TornTail, "ends inside a block"};
    }
    if (crc_of(bytes.first(sizeof h + h.packed_bytes)) != h.crc32c) {
        return {Errc::BadChecksum, "a block's checksum (CRC32C) does not match its bytes"};
    }
    return h;
}

Status BlockReader::read(std::span<const std::byte> block, EntryVisitor& visitor) {
    BlockHeader h;
    ASSERT(block.size() >= sizeof h);
    std::memcpy(&h, block.data(), sizeof h);
    raw_.resize(h.raw_bytes);
    const int got =
        LZ4_decompress_safe(reinterpret_cast<const char*>(block.data() + sizeof h),
                            reinterpret_cast<char*>(raw_.data()), static_cast<int>(h.packed_bytes),
                            static_cast<int>(raw_.size()));
    if (got != static_cast<int>(raw_.size())) {
        return {Errc::BadLayout, "a block cannot be unpacked"};
    }
    ++block_;
    Cursor in{raw_};
    const auto base = h.kind == BlockKind::Data ? static_cast<std::int64_t>(in.get()) : 0;
    for (std::uint32_t i = 0; i < h.count && !in.bad; ++i) {
        const std::uint64_t head = in.get();
        const auto kind = static_cast<EntryKind>(head & 3U);
        const std::uint64_t number = head >> 2U;
        if (kind == EntryKind::Define) {
            defines_.push_back(get_define(in));
            last_.emplace_back();
            in.bad = in.bad || defines_.size() > kSeriesMax;
            continue;
        }
        if (number >= defines_.size()) {
            return {Errc::BadLayout, "a block names a series that nothing defines"};
        }
        const SeriesDefine& d = defines_[number];
        if (kind == EntryKind::Mark) {
            const Mark m = get_mark(in);
            if (!in.bad) {
                visitor.on_mark(d.key, m);
            }
            continue;
        }
        Last& last = last_[number];
        if (last.block != block_) {
            last.tick = {d.seq, Nanos{base - base % d.time_unit}, Price{d.bid}, Price{d.ask}};
            last.block = block_;
        }
        const LogTick before = last.tick;
        LogTick& t = last.tick;
        const auto add = [](std::int64_t a, std::uint64_t b) {
            return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + b);
        };
        if (kind == EntryKind::Tick) {
            t.seq = before.seq + 1 + unzigzag(in.get());
        }
        t.time.value = add(before.time.value, in.difference(d.time_unit));
        t.bid.value = add(before.bid.value, in.difference(d.price_unit));
        t.ask.value = add(t.bid.value,
                          minus(before.ask.value, before.bid.value) + in.difference(d.price_unit));
        if (!in.bad) {
            LogTick told = t;
            told.seq = kind == EntryKind::Tick ? t.seq : 0;
            visitor.on_tick(d.key, told, kind == EntryKind::Filled);
        }
    }
    if (in.bad) {
        return {Errc::BadLayout, "a block ends inside an entry"};
    }
    return ok_status();
}

}  // namespace millrace::ticklog
