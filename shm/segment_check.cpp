// What attaching believes of a segment, and how it finds out. Reads only what lies in the mapping,
// whatever the bytes are; each fault has its own sentence.
#include "shm/segment_fields.h"
#include "shm/segment_plan.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace millrace {
namespace {

constexpr Error kFine{};

Error bad(std::string& message, std::string text, Errc code) {
    message = std::move(text);
    return {code, 0, "segment"};
}

bool same_bytes(const std::byte* a, const std::byte* b, const FieldPlace& f) noexcept {
    return std::memcmp(a + f.offset, b + f.offset, f.bytes) == 0;
}

/// Up to eight bytes of a field as a number, for messages.
std::uint64_t value_of(const std::byte* at, const FieldPlace& f) noexcept {
    std::uint64_t value = 0;
    std::memcpy(&value, at + f.offset, std::min<std::size_t>(f.bytes, sizeof value));
    return value;
}

Error differs(std::string& message, const std::string& where, const std::byte* a,
              const std::byte* b, const FieldPlace& f) {
    return bad(message,
               where + " is damaged: " + f.name + " starts with " + std::to_string(value_of(a, f)) +
                   ", in the copy with " + std::to_string(value_of(b, f)),
               Errc::BadChecksum);
}

Error check_version(const SegmentHeader& h, std::string& message) {
    // Acquire: pairs with the release in publish_header(); a complete magic means a complete
    // segment.
    const std::uint64_t magic = h.magic.load(std::memory_order_acquire);
    if (magic != kSegmentMagic) {
        return bad(message,
                   magic == 0 ? "not (yet) a complete segment: its magic is not written"
                              : "not a Millrace segment: wrong magic",
                   Errc::BadMagic);
    }
    if (h.layout_version != kLayoutVersion) {
        return bad(message,
                   "layout version " + std::to_string(h.layout_version) + ", this build speaks " +
                       std::to_string(kLayoutVersion) + "; stop it with the build that made it",
                   Errc::BadVersion);
    }
    if (h.header_bytes != sizeof(SegmentHeader)) {
        return bad(message,
                   "header_bytes is " + std::to_string(h.header_bytes) +
                       ", this build's header has " + std::to_string(sizeof(SegmentHeader)),
                   Errc::BadLayout);
    }
    if (h.schema_hash != schema_hash()) {
        return bad(message,
                   "struct layouts differ from this build's (schema_hash); stop it with "
                   "the build that made it",
                   Errc::BadVersion);
    }
    return kFine;
}

/// All offsets follow from the counts: they must be what this build would have made.
Error check_places(const SegmentHeader& h, std::uint64_t mapped, std::string& message) {
    if (h.total_bytes != mapped) {
        return bad(message,
                   "total_bytes is " + std::to_string(h.total_bytes) + ", the file has " +
                       std::to_string(mapped) + ": it was cut or lengthened",
                   Errc::BadLayout);
    }
    if (h.page_bytes < 4096 || !std::has_single_bit(h.page_bytes)) {
        return bad(message, "page_bytes is " + std::to_string(h.page_bytes), Errc::BadLayout);
    }
    if (h.stage_count != kStages || h.doorbell_count < kStages) {
        return bad(message,
                   "stage_count " + std::to_string(h.stage_count) + " or doorbell_count " +
                       std::to_string(h.doorbell_count) + " contradicts this build",
                   Errc::BadLayout);
    }
    SegmentHeader want{};
    want.ring_count = h.ring_count;
    want.session_count = h.session_count;
    want.stage_count = h.stage_count;
    want.doorbell_count = h.doorbell_count;
    const std::uint64_t end = place_tables(want);
    const auto* is = reinterpret_cast<const std::byte*>(&h);
    const auto* should = reinterpret_cast<const std::byte*>(&want);
    for (const FieldPlace& f : kHeaderFields) {
        if (std::string_view{f.name}.ends_with("_offset") && !same_bytes(is, should, f)) {
            return bad(message,
                       std::string{f.name} + " is " + std::to_string(value_of(is, f)) +
                           "; with these counts it has to be " +
                           std::to_string(value_of(should, f)),
                       Errc::BadLayout);
        }
    }
    if (end > mapped) {
        return bad(message,
                   "the tables take " + std::to_string(end) + " bytes (ring_count " +
                       std::to_string(h.ring_count) + ", session_count " +
                       std::to_string(h.session_count) + ") of a file of " + std::to_string(mapped),
                   Errc::BadLayout);
    }
    return kFine;
}

Error check_header(const SegmentHeader& h, std::uint64_t mapped, std::string& message) {
    if (Error e = check_version(h, message); e.code != Errc::Ok) {
        return e;
    }
    const auto* first = reinterpret_cast<const std::byte*>(&h);
    for (const FieldPlace& f : kHeaderFields) {
        if (!same_bytes(first, first + kHeaderCopyOffset, f)) {
            return differs(message, "the header", first, first + kHeaderCopyOffset, f);
        }
    }
    return check_places(h, mapped, message);
}

/// @param at where the ring has to lie; moved behind it.
Error check_entry(const SegmentHeader& h, const RingEntry& e, std::uint64_t& at,
                  std::string& message) {
    const std::string name = "ring " + std::string{view(e.name)};
    if (e.slot_bytes == 0 || e.slot_bytes != slot_bytes_of(e.kind)) {
        return bad(message,
                   name + ": slot_bytes " + std::to_string(e.slot_bytes) + ", for kind " +
                       std::to_string(static_cast<std::uint32_t>(e.kind)) + " this build expects " +
                       std::to_string(slot_bytes_of(e.kind)),
                   Errc::BadLayout);
    }
    if (e.capacity < 2 || !std::has_single_bit(e.capacity)) {
        return bad(message,
                   name + ": capacity " + std::to_string(e.capacity) + " is not a power of two",
                   Errc::BadLayout);
    }
    if (e.doorbell >= h.doorbell_count) {
        return bad(message,
                   name + ": doorbell " + std::to_string(e.doorbell) + " of " +
                       std::to_string(h.doorbell_count),
                   Errc::BadLayout);
    }
    RingEntry want = e;
    at = place_ring(want, at);
    if (e.control_offset != want.control_offset || e.slots_offset != want.slots_offset) {
        return bad(message,
                   name + ": control_offset " + std::to_string(e.control_offset) +
                       " and slots_offset " + std::to_string(e.slots_offset) + " have to be " +
                       std::to_string(want.control_offset) + " and " +
                       std::to_string(want.slots_offset),
                   Errc::BadLayout);
    }
    if (at > h.total_bytes) {
        return bad(message,
                   name + ": ends at " + std::to_string(at) + " in a file of " +
                       std::to_string(h.total_bytes),
                   Errc::BadLayout);
    }
    return kFine;
}

Error check_control(const RingEntry& e, const std::byte* base, std::string& message) {
    RingControl<> want{};
    want.magic = kRingMagic;
    want.slot_bytes = e.slot_bytes;
    want.capacity = e.capacity;
    want.payload_kind = static_cast<std::uint32_t>(e.kind);
    const auto* is = base + e.control_offset;
    const auto* should = reinterpret_cast<const std::byte*>(&want);
    for (const FieldPlace& f : kControlFields) {
        if (!same_bytes(is, should, f)) {
            return bad(message,
                       "ring " + std::string{view(e.name)} + ": " + f.name + " in its control is " +
                           std::to_string(value_of(is, f)) + ", by the directory " +
                           std::to_string(value_of(should, f)),
                       Errc::BadLayout);
        }
    }
    return kFine;
}

Error check_directory(const SegmentHeader& h, const std::byte* base, std::string& message) {
    const auto* entries = reinterpret_cast<const RingEntry*>(base + h.rings_offset);
    std::uint64_t at = h.data_offset;
    std::uint32_t bells = kStages;
    std::uint32_t queues = 0;
    for (std::uint32_t i = 0; i < h.ring_count; ++i) {
        const auto* first = reinterpret_cast<const std::byte*>(entries + i);
        const auto* copy = reinterpret_cast<const std::byte*>(entries + h.ring_count + i);
        for (const FieldPlace& f : kEntryFields) {
            if (!same_bytes(first, copy, f)) {
                return differs(message, "directory entry " + std::to_string(i), first, copy, f);
            }
        }
        if (Error e = check_entry(h, entries[i], at, message); e.code != Errc::Ok) {
            return e;
        }
        if (Error e = check_control(entries[i], base, message); e.code != Errc::Ok) {
            return e;
        }
        bells = std::max(bells, entries[i].doorbell + 1);
        queues += entries[i].kind == RingKind::Session ? 1 : 0;
    }
    if (queues != h.session_count) {
        return bad(message,
                   "session_count is " + std::to_string(h.session_count) + ", there are " +
                       std::to_string(queues) + " queues",
                   Errc::BadLayout);
    }
    if (bells != h.doorbell_count) {
        return bad(message,
                   "doorbell_count is " + std::to_string(h.doorbell_count) + ", the rings use " +
                       std::to_string(bells),
                   Errc::BadLayout);
    }
    if (file_bytes(at, h.page_bytes) != h.total_bytes) {
        return bad(message,
                   "the rings end at " + std::to_string(at) + " in a file of " +
                       std::to_string(h.total_bytes),
                   Errc::BadLayout);
    }
    return kFine;
}

/// What stage and session tables say that never changes.
Error check_tables(const SegmentHeader& h, const std::byte* base, std::string& message) {
    const auto* stages = reinterpret_cast<const StageEntry*>(base + h.stages_offset);
    for (std::uint32_t i = 0; i < h.stage_count; ++i) {
        if (const char* name = stage_name(static_cast<StageId>(i)); view(stages[i].name) != name) {
            return bad(message, "stage " + std::to_string(i) + " is not called " + name,
                       Errc::BadLayout);
        }
    }
    const auto* rings = reinterpret_cast<const RingEntry*>(base + h.rings_offset);
    const auto* sessions = reinterpret_cast<const SessionEntry*>(base + h.sessions_offset);
    for (std::uint32_t i = 0; i < h.session_count; ++i) {
        const SessionEntry& s = sessions[i];
        if (s.account.value != i) {
            return bad(
                message,
                "session " + std::to_string(i) + " says account " + std::to_string(s.account.value),
                Errc::BadLayout);
        }
        if (s.queue_ring >= h.ring_count || rings[s.queue_ring].kind != RingKind::Session ||
            rings[s.queue_ring].owner_id != i) {
            return bad(message,
                       "session " + std::to_string(i) + ": queue_ring " +
                           std::to_string(s.queue_ring) + " is not its queue",
                       Errc::BadLayout);
        }
    }
    return kFine;
}

std::uint64_t number_in(const RingEntry& e, const std::byte* base, std::uint64_t slot) noexcept {
    static_assert(offsetof(RingSlot<OrderSlot>, sequence) == 0);
    const auto* word =
        reinterpret_cast<const AtomicU64*>(base + e.slots_offset + slot * e.slot_bytes);
    // Acquire: pairs with the producer's commit, and so with the consumer's release that the
    // producer had seen before it: a cursor read after this is at least that.
    return word->load(std::memory_order_acquire);
}

}  // namespace

Error validate(const SegmentHeader& h, std::uint64_t mapped, std::string& message) {
    if (Error e = check_header(h, mapped, message); e.code != Errc::Ok) {
        return e;
    }
    const auto* base = reinterpret_cast<const std::byte*>(&h);
    if (Error e = check_directory(h, base, message); e.code != Errc::Ok) {
        return e;
    }
    return check_tables(h, base, message);
}

Error check_numbers(const RingEntry& e, const std::byte* base, std::string& message) {
    const auto& cursor =
        reinterpret_cast<const RingControl<>*>(base + e.control_offset)->read_cursor;
    // Acquire: pairs with the consumer's release: every slot up to `read` has been written.
    const std::uint64_t read = cursor.load(std::memory_order_acquire);
    const std::uint64_t capacity = e.capacity;
    std::uint64_t newest = 0;
    std::uint64_t newest_slot = 0;
    for (std::uint64_t i = 0; i < capacity; ++i) {
        const std::uint64_t n = number_in(e, base, i);
        // What the slot held when `read` was read, or something later. (No sum can overflow:
        // `read` is at most n or i, checked here, plus capacity.)
        const bool in_place = n == 0 ? read <= i : ((n - 1) & (capacity - 1)) == i;
        if (!in_place || (n < read && read - n >= capacity)) {
            return bad(message,
                       "ring " + std::string{view(e.name)} + ": slot " + std::to_string(i) +
                           " holds number " + std::to_string(n) + " with read cursor " +
                           std::to_string(read) + " and capacity " + std::to_string(capacity),
                       Errc::BadCursor);
        }
        if (n > newest) {
            newest = n;
            newest_slot = i;
        }
    }
    const std::uint64_t read_now = cursor.load(std::memory_order_acquire);
    if (newest > read_now && newest - read_now > capacity) {
        return bad(message,
                   "ring " + std::string{view(e.name)} + ": slot " + std::to_string(newest_slot) +
                       " holds number " + std::to_string(newest) + ", more than capacity " +
                       std::to_string(capacity) + " beyond read cursor " + std::to_string(read_now),
                   Errc::BadCursor);
    }
    // Numbers are published one after the other: whoever has seen the newest sees all before it.
    for (std::uint64_t n = read_now + 1; n <= newest; ++n) {
        const std::uint64_t slot = (n - 1) & (capacity - 1);
        if (number_in(e, base, slot) < n) {
            return bad(message,
                       "ring " + std::string{view(e.name)} + ": slot " + std::to_string(slot) +
                           " lacks number " + std::to_string(n) + ", but " +
                           std::to_string(newest) + " is there, read cursor " +
                           std::to_string(read_now),
                       Errc::BadCursor);
        }
    }
    return kFine;
}

}  // namespace millrace
