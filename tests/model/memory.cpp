#include "tests/model/memory.h"

#include "core/assert.h"

#include <algorithm>
#include <limits>

namespace millrace::model {
namespace {

using Order = std::memory_order;

bool acquires(Order o) noexcept {
    return o == Order::acquire || o == Order::acq_rel || o == Order::seq_cst || o == Order::consume;
}
bool releases(Order o) noexcept {
    return o == Order::release || o == Order::acq_rel || o == Order::seq_cst;
}

}  // namespace

void View::join_seen(const View& other) noexcept {
    for (std::size_t i = 0; i < seen.size(); ++i) {
        seen[i] = std::max(seen[i], other.seen[i]);
    }
}

void View::join(const View& other) noexcept {
    join_seen(other);
    for (std::size_t i = 0; i < clock.size(); ++i) {
        clock[i] = std::max(clock[i], other.clock[i]);
    }
}

std::uint8_t Memory::add_location(std::uint64_t initial) noexcept {
    if (locations_ == kLocationsMax || message_count_ == kMessagesMax) {
        overflow_ = 1;
        return 0;
    }
    const auto at = static_cast<std::uint8_t>(locations_++);
    at_[at].count = 1;
    at_[at].order[0] = static_cast<std::uint8_t>(message_count_);
    messages_[message_count_++].value = initial;
    return at;
}

unsigned Memory::load_choices(unsigned thread, std::uint8_t at) const noexcept {
    return at_[at].count - threads_[thread].current.seen[at];
}

std::uint64_t Memory::peek(unsigned thread, std::uint8_t at, unsigned choice) const noexcept {
    const unsigned rank = threads_[thread].current.seen[at] + choice;
    return messages_[at_[at].order[rank]].value;
}

void Memory::acquire(unsigned thread, const Message& message, Order order) noexcept {
    ThreadViews& t = threads_[thread];
    t.acquirable.join(message.view);
    if (acquires(order)) {
        t.current.join(message.view);
    }
}

std::uint64_t Memory::load(unsigned thread, std::uint8_t at, Order order,
                           unsigned choice) noexcept {
    ThreadViews& t = threads_[thread];
    const auto rank = static_cast<std::uint8_t>(t.current.seen[at] + choice);
    const Message& message = messages_[at_[at].order[rank]];
    t.current.seen[at] = rank;
    acquire(thread, message, order);
    return message.value;
}

bool Memory::glued(std::uint8_t at, unsigned rank) const noexcept {
    return rank < at_[at].count && messages_[at_[at].order[rank]].rmw != 0;
}

unsigned Memory::store_choices(unsigned thread, std::uint8_t at) const noexcept {
    unsigned choices = 0;
    for (unsigned rank = threads_[thread].current.seen[at] + 1U; rank <= at_[at].count; ++rank) {
        choices += glued(at, rank) ? 0 : 1;
    }
    return choices;
}

unsigned Memory::store_rank(unsigned thread, std::uint8_t at, unsigned choice) const noexcept {
    unsigned rank = threads_[thread].current.seen[at] + 1U;
    for (unsigned left = choice;; ++rank) {
        if (!glued(at, rank)) {
            if (left == 0) {
                return rank;
            }
            --left;
        }
    }
}

void Memory::shift_views(std::uint8_t at, unsigned rank) noexcept {
    const auto shift = [at, rank](View& v) {
        if (v.seen[at] >= rank) {
            ++v.seen[at];
        }
    };
    for (ThreadViews& t : threads_) {
        for (View* v : {&t.current, &t.acquirable, &t.released, &t.light, &t.heavy}) {
            shift(*v);
        }
    }
    for (std::uint32_t i = 0; i < message_count_; ++i) {
        shift(messages_[i].view);
    }
    shift(sc_);
    shift(kernel_);
}

void Memory::insert(unsigned thread, std::uint8_t at, unsigned rank, std::uint64_t value, View view,
                    bool rmw) noexcept {
    Location& l = at_[at];
    if (l.count == kStoresMax || message_count_ == kMessagesMax) {
        overflow_ = 1;
        return;
    }
    if (rank < l.count) {
        shift_views(at, rank);
        view.seen[at] = static_cast<std::uint8_t>(view.seen[at] + (view.seen[at] >= rank ? 1 : 0));
    }
    for (unsigned i = l.count; i > rank; --i) {
        l.order[i] = l.order[i - 1];
    }
    ++l.count;
    l.order[rank] = static_cast<std::uint8_t>(message_count_);
    threads_[thread].current.seen[at] = static_cast<std::uint8_t>(rank);
    view.seen[at] = std::max(view.seen[at], static_cast<std::uint8_t>(rank));
    messages_[message_count_++] = Message{value, view, rmw ? 1U : 0U};
}

// The first plain access after a release moves the clock on, so that no release covers what comes
// after it, and no clock is passed on that an access still to come will carry. Not the release
// itself: a thread that polls in vain must come back to the same state.
void Memory::touch(unsigned thread) noexcept {
    ThreadViews& t = threads_[thread];
    if (t.touched == 0) {
        t.touched = 1;
        ASSERT(t.current.clock[thread] < std::numeric_limits<std::uint8_t>::max());
        ++t.current.clock[thread];
    }
}

void Memory::tick(unsigned thread) noexcept {
    threads_[thread].touched = 0;
}

void Memory::store(unsigned thread, std::uint8_t at, std::uint64_t value, Order order,
                   unsigned choice) noexcept {
    ThreadViews& t = threads_[thread];
    const bool release = releases(order);
    insert(thread, at, store_rank(thread, at, choice), value, release ? t.current : t.released,
           false);
    if (release) {
        tick(thread);
    }
}

bool Memory::can_modify(unsigned thread, std::uint8_t at, unsigned choice) const noexcept {
    return !glued(at, threads_[thread].current.seen[at] + choice + 1);
}

std::uint64_t Memory::modify(unsigned thread, std::uint8_t at, std::uint64_t value, Order order,
                             unsigned choice) noexcept {
    ThreadViews& t = threads_[thread];
    const auto rank = static_cast<std::uint8_t>(t.current.seen[at] + choice);
    const Message read = messages_[at_[at].order[rank]];
    t.current.seen[at] = rank;
    acquire(thread, read, order);
    const bool release = releases(order);
    // Release sequence: what the message read passed on, a read-modify-write passes on too.
    View view = release ? t.current : t.released;
    view.join(read.view);
    insert(thread, at, rank + 1U, value, view, true);
    if (release) {
        tick(thread);
    }
    return read.value;
}

void Memory::fence(unsigned thread, Order order) noexcept {
    ThreadViews& t = threads_[thread];
    if (acquires(order)) {
        t.current.join(t.acquirable);
    }
    if (order == Order::seq_cst) {
        t.current.join_seen(sc_);
        sc_.join_seen(t.current);
    }
    if (releases(order)) {
        t.released = t.current;
        tick(thread);
    }
}

void Memory::light_fence(unsigned thread) noexcept {
    ThreadViews& t = threads_[thread];
    t.current.join_seen(t.heavy);
    t.light.join_seen(t.current);
}

void Memory::heavy_fence_on(unsigned caller, unsigned target) noexcept {
    threads_[caller].current.join_seen(threads_[target].light);
    threads_[target].heavy.join_seen(threads_[caller].current);
}

unsigned Memory::kernel_load_choices(unsigned thread, std::uint8_t at) const noexcept {
    return at_[at].count - std::max(threads_[thread].current.seen[at], kernel_.seen[at]);
}

void Memory::enter_kernel(unsigned thread) noexcept {
    threads_[thread].current.join(kernel_);
}

void Memory::leave_kernel(unsigned thread) noexcept {
    kernel_.join(threads_[thread].current);
    tick(thread);
}

bool Memory::plain_read(unsigned thread, std::size_t word) noexcept {
    words_used_ = std::max(words_used_, static_cast<std::uint32_t>(word + 1));
    ThreadViews& t = threads_[thread];
    PlainWord& w = plain_[word];
    touch(thread);
    w.read_clock[thread] = t.current.clock[thread];
    return w.write_clock <= t.current.clock[w.writer];
}

bool Memory::plain_write(unsigned thread, std::size_t word) noexcept {
    words_used_ = std::max(words_used_, static_cast<std::uint32_t>(word + 1));
    ThreadViews& t = threads_[thread];
    PlainWord& w = plain_[word];
    bool ordered = w.write_clock <= t.current.clock[w.writer];
    for (std::size_t u = 0; u < kThreadsMax; ++u) {
        ordered = ordered && w.read_clock[u] <= t.current.clock[u];
    }
    touch(thread);
    w.writer = static_cast<std::uint8_t>(thread);
    w.write_clock = t.current.clock[thread];
    w.read_clock = {};
    return ordered;
}

void Memory::begin(unsigned thread) noexcept {
    threads_[thread].current.clock[thread] = 1;
}

void Memory::inherit(unsigned heir, unsigned dead) noexcept {
    threads_[heir].current.join(threads_[dead].current);
}

std::uint64_t Memory::newest(std::uint8_t at) const noexcept {
    return messages_[at_[at].order[at_[at].count - 1U]].value;
}

// Stores behind every running thread's view cannot be read again (an heir's view includes that of
// whom it follows): two states that differ only in those are one, so ranks count from `base`.
void Memory::digest(std::vector<std::byte>& out, unsigned alive, unsigned waiting) const {
    std::array<std::uint8_t, kLocationsMax> base{};
    for (std::size_t l = 0; l < locations_; ++l) {
        base[l] = static_cast<std::uint8_t>(at_[l].count - 1U);
        for (std::size_t t = 0; t < kThreadsMax; ++t) {
            if ((alive >> t & 1U) != 0) {
                base[l] = std::min(base[l], threads_[t].current.seen[l]);
            }
        }
    }
    const auto put = [&out](const void* p, std::size_t n) {
        const auto* bytes = static_cast<const std::byte*>(p);
        out.insert(out.end(), bytes, bytes + n);
    };
    const auto put_view = [&](View v) {
        for (std::size_t l = 0; l < locations_; ++l) {
            v.seen[l] = static_cast<std::uint8_t>(std::max(v.seen[l], base[l]) - base[l]);
        }
        put(&v, sizeof v);
    };
    for (std::size_t l = 0; l < locations_; ++l) {
        const auto readable = static_cast<std::uint8_t>(at_[l].count - base[l]);
        put(&readable, sizeof readable);
        for (unsigned i = base[l]; i < at_[l].count; ++i) {
            const Message& m = messages_[at_[l].order[i]];
            put(&m.value, sizeof m.value);
            put(&m.rmw, sizeof m.rmw);
            put_view(m.view);
        }
    }
    for (std::size_t t = 0; t < kThreadsMax; ++t) {
        const ThreadViews& v = threads_[t];
        const bool runs = (alive >> t & 1U) != 0;
        if (runs) {
            View acquirable = v.acquirable;
            acquirable.join(v.current);  // a fence would; less than that is no difference
            for (const View& view : {v.current, acquirable, v.released}) {
                put_view(view);
            }
            put(&v.touched, sizeof v.touched);
        }
        if (runs || (waiting >> t & 1U) != 0) {
            View heavy = v.heavy;
            heavy.join_seen(v.current);  // the same
            put_view(heavy);
        }
        put_view(v.light);
    }
    put(plain_.data(), sizeof(PlainWord) * words_used_);
    put_view(sc_);
    put_view(kernel_);
}

}  // namespace millrace::model
