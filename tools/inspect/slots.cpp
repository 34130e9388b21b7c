#include "tools/inspect/slots.h"

#include <fmt/core.h>

#include "tools/inspect/rings.h"

namespace millrace::inspect {
namespace {

enum class Slot : std::uint8_t { Never, Released, Ready, Torn, Duplicate, Gap };

template <class T>
std::uint64_t word_at(const RingView<T>& ring, std::uint64_t i) noexcept {
    // Acquire: pairs with RingProducer::commit(); the record behind the word may be looked at.
    return ring.slots[i].sequence.load(std::memory_order_acquire);
}

/// What slot `i` (0-based) holds if the ring's records are read+1 .. written.
template <class T>
Slot classify(const RingView<T>& ring, std::uint64_t i, const Cursors& at) noexcept {
    const std::uint64_t capacity = ring.capacity();
    // The newest record up to `written` that belongs here; 0 = none yet.
    const std::uint64_t laps = at.written <= i ? 0 : (at.written - i - 1) / capacity + 1;
    const std::uint64_t expected = laps == 0 ? 0 : i + 1 + (laps - 1) * capacity;
    const std::uint64_t word = word_at(ring, i);
    if (word == expected) {
        return word == 0 ? Slot::Never : word <= at.read ? Slot::Released : Slot::Ready;
    }
    if (word != 0 && (word - 1) % capacity != i) {
        return word_at(ring, (word - 1) % capacity) == word ? Slot::Duplicate : Slot::Torn;
    }
    return Slot::Gap;
}

/// The same of a ring that may be in use: what looks wrong is judged by cursors read after it.
template <class T>
Slot classify_live(const RingView<T>& ring, std::uint64_t i, const Cursors& at) noexcept {
    constexpr int kTries = 8;
    Slot slot = classify(ring, i, at);
    for (int n = 0; n < kTries && slot > Slot::Ready; ++n) {
        const auto now = read_cursors(ring);
        slot = now ? classify(ring, i, now.value()) : slot;
    }
    return slot;
}

/// What orders records of a kind: a rising number, or a number that goes up one by one.
struct Number {
    std::uint64_t seq = 0;
    std::uint64_t k = 0;
    bool known = false;
};
Number number_of(const JournalRecord& r) noexcept {
    return {r.seq.value, 0, true};
}
Number number_of(const OrderSlot& o) noexcept {
    return {o.value.seq.value, o.value.k, true};
}
Number number_of(const ResultSlot& r) noexcept {
    return {r.value.seq.value, r.value.k, true};
}
template <class T>
Number number_of(const T&) noexcept {
    return {};
}

std::int64_t time_of(const JournalRecord& r) noexcept {
    return r.time.value;
}
std::int64_t time_of(const OrderSlot& o) noexcept {
    return o.value.engine_time.value;
}
std::int64_t time_of(const ResultSlot& r) noexcept {
    return r.value.time.value;
}
std::int64_t time_of(const ReportSlot& r) noexcept {
    return r.value.time.value;
}
std::int64_t time_of(const Holding& h) noexcept {
    return h.time.value;
}
std::int64_t time_of(const SignalSlot& s) noexcept {
    return s.value.edge_time.value;
}
template <class T>
std::int64_t time_of(const T&) noexcept {
    return 0;
}

/// Only a Jump may leave numbers out.
template <class T>
bool may_follow(const T&, const Number& now, const Number& before) noexcept {
    return now.seq > before.seq || (now.seq == before.seq && now.k > before.k);
}
bool leaves_out(const JournalRecord& r, const Number& before) noexcept {
    return r.seq.value > before.seq + 1 && r.type != InputType::Jump;
}
template <class T>
bool leaves_out(const T&, const Number&) noexcept {
    return false;
}

void note(SlotCensus& c, const std::string& what) {
    c.where = c.where.empty() ? what : c.where;
}

template <class T>
void count_words(const RingView<T>& ring, const Cursors& at, SlotCensus& c) {
    for (std::uint64_t i = 0; i < ring.capacity(); ++i) {
        const Slot slot = classify_live(ring, i, at);
        switch (slot) {
            case Slot::Never: ++c.never; continue;
            case Slot::Released: ++c.released; continue;
            case Slot::Ready: ++c.ready; continue;
            case Slot::Torn: ++c.torn; break;
            case Slot::Duplicate: ++c.duplicates; break;
            case Slot::Gap: ++c.gaps; break;
        }
        note(c, fmt::format("slot {} holds word {}", i, word_at(ring, i)));
    }
}

template <class T>
void count_numbers(const RingView<T>& ring, const Cursors& at, RingKind kind, SlotCensus& c) {
    if (kind == RingKind::Session) {
        return;  // refilled from `orders` after a restart of the broker stage
    }
    Number before;
    const std::uint64_t oldest = at.written > ring.capacity() ? at.written - ring.capacity() : 0;
    for (std::uint64_t n = oldest + 1; n <= at.written; ++n) {
        T record{};
        if (!copy_record(ring, n, record)) {
            before = {};  // overwritten meanwhile
            continue;
        }
        const Number now = number_of(record);
        if (before.known && now.known && !may_follow(record, now, before)) {
            ++c.duplicates;
            note(c, fmt::format("record {} repeats seq {} k {}", n, now.seq, now.k));
        } else if (before.known && leaves_out(record, before)) {
            ++c.gaps;
            note(c, fmt::format("record {} has seq {} after {}", n, now.seq, before.seq));
        }
        before = now;
    }
}

template <class T>
std::int64_t oldest_of(const RingView<T>& ring, const Cursors& at) {
    T record{};
    return at.written > at.read && copy_record(ring, at.read + 1, record) ? time_of(record) : 0;
}

template <class T>
SlotCensus look(const RingView<T>& ring, RingKind kind) {
    SlotCensus c;
    c.capacity = ring.capacity();
    const auto at = read_cursors(ring);
    if (!at) {
        c.read = c.written = ring.control->read_cursor.load(std::memory_order_relaxed);
        c.fault = at.error().what;
        return c;
    }
    c.read = at.value().read;
    c.written = at.value().written;
    count_words(ring, at.value(), c);
    count_numbers(ring, at.value(), kind, c);
    c.oldest_ns = oldest_of(ring, at.value());
    return c;
}

}  // namespace

SlotCensus count_slots(const Segment& segment, std::uint32_t index) {
    SlotCensus c;
    constexpr int kTries = 5;
    for (int i = 0; i < kTries && (i == 0 || !c.sound()); ++i) {
        SlotCensus unknown;
        unknown.fault = "ring of a kind that this build does not know";
        c = with_ring<SlotCensus>(segment, index, unknown, [&](const auto& ring) {
            return look(ring, segment.ring_entry(index).kind);
        });
    }
    return c;
}

std::int64_t oldest_time(const Segment& segment, std::uint32_t index) {
    return with_ring<std::int64_t>(segment, index, 0, [](const auto& ring) {
        const auto at = read_cursors(ring);
        return at ? oldest_of(ring, at.value()) : std::int64_t{0};
    });
}

nlohmann::ordered_json census_json(const SlotCensus& c) {
    using nlohmann::ordered_json;
    return {{"capacity", c.capacity},
            {"read", c.read},
            {"written", c.written},
            {"ready", c.ready},
            {"released", c.released},
            {"never", c.never},
            {"torn", c.torn},
            {"duplicates", c.duplicates},
            {"gaps", c.gaps},
            {"where", c.where.empty() ? ordered_json(nullptr) : ordered_json(c.where)},
            {"fault", c.fault.empty() ? ordered_json(nullptr) : ordered_json(c.fault)}};
}

std::string census_text(const SlotCensus& c) {
    if (!c.fault.empty()) {
        return fmt::format("FAULT at read cursor {}: {}\n", c.read, c.fault);
    }
    return fmt::format(
        "{} slots: {} ready, {} released, {} never written; read {} written {}; torn {} "
        "duplicates {} gaps {}{}\n",
        c.capacity, c.ready, c.released, c.never, c.read, c.written, c.torn, c.duplicates, c.gaps,
        c.where.empty() ? "" : " (first: " + c.where + ")");
}

std::string slot_map(const Segment& segment, std::uint32_t index) {
    return with_ring<std::string>(segment, index, "", [](const auto& ring) {
        constexpr std::uint64_t kPerLine = 64;
        const auto at = read_cursors(ring);
        const std::uint64_t read = ring.control->read_cursor.load(std::memory_order_relaxed);
        const Cursors cursors = at ? at.value() : Cursors{read, read};
        std::string out;
        for (std::uint64_t i = 0; i < ring.capacity(); ++i) {
            out += i % kPerLine == 0 ? fmt::format("{:>8}  ", i) : "";
            const Slot slot = classify_live(ring, i, cursors);
            out += slot == Slot::Never      ? '.'
                   : slot == Slot::Released ? 'r'
                   : slot == Slot::Ready    ? '#'
                                            : '!';
            out += (i + 1) % kPerLine == 0 || i + 1 == ring.capacity() ? "\n" : "";
        }
        return out;
    });
}

}  // namespace millrace::inspect
