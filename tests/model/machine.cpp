#include "tests/model/machine.h"

#include "core/assert.h"

#include <xxhash.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace millrace {

// In place of core/assert.cpp: an ASSERT of the explored code is a property like any other.
void assert_failed(const char* condition, const char* file, int line) noexcept {
    model::machine().violate("an ASSERT of the production code fails");
    std::fprintf(stderr, "ASSERT failed: %s at %s:%d\n", condition, file, line);
    std::abort();  // reached only by an ASSERT of the explorer's own; violate() stops a fiber
}

}  // namespace millrace

namespace millrace::model {
namespace {

Machine* g_machine = nullptr;

// Below a stopped fiber's last frame: what swapcontext itself and the red zone use.
constexpr std::size_t kBelowFrame = 512;

void put(std::vector<std::byte>& to, const void* from, std::size_t count) {
    const auto* bytes = static_cast<const std::byte*>(from);
    to.insert(to.end(), bytes, bytes + count);
}

void take(const std::byte*& from, void* to, std::size_t count) {
    std::memcpy(to, from, count);
    from += count;
}

}  // namespace

Machine& machine() {
    ASSERT(g_machine != nullptr);
    return *g_machine;
}

Machine::Machine(const Limits& limits) : left_{limits.deaths, limits.spurious_wakes} {
    g_machine = this;
}

Machine::~Machine() {
    g_machine = nullptr;
}

void* Machine::allocate(std::size_t bytes, std::size_t alignment) {
    region_used_ = (region_used_ + alignment - 1) / alignment * alignment;
    void* at = region_.data() + region_used_;
    region_used_ += bytes;
    ASSERT(region_used_ <= kRegionBytes);
    return at;
}

std::size_t Machine::offset_of(const void* p) const noexcept {
    return static_cast<std::size_t>(static_cast<const std::byte*>(p) - region_.data());
}

int Machine::add_thread(Role role, std::function<void()> body) {
    ASSERT(bodies_.size() < kThreadsMax);
    roles_.push_back(std::move(role));
    bodies_.push_back(std::move(body));
    return static_cast<int>(bodies_.size()) - 1;
}

// -- fibers ---------------------------------------------------------------------------------------

void Machine::entry() {
    Machine& m = machine();
    m.bodies_[m.running_]();
    m.states_[m.running_].access = Access{};
    m.states_[m.running_].access.kind = Kind::Finish;
    m.states_[m.running_].status = Status::Done;
    m.stop_here();
}

void Machine::stop_here() {
    Fiber& fiber = fibers_[running_];
    fiber.low = static_cast<std::byte*>(__builtin_frame_address(0)) - kBelowFrame;
    ::swapcontext(&fiber.context, &scheduler_);
}

void Machine::resume(std::uint8_t thread) {
    running_ = thread;
    in_fiber_ = true;
    ::swapcontext(&scheduler_, &fibers_[thread].context);
    in_fiber_ = false;
}

void Machine::begin(std::uint8_t thread) {
    memory.begin(thread);
    states_[thread].status = Status::Ready;
    resume(thread);
}

void Machine::prepare(Fiber& fiber) {
    ::getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = nullptr;
    ::makecontext(&fiber.context, &Machine::entry, 0);
    // A fiber that has not begun: makecontext wrote at the top of its stack.
    fiber.low = fiber.stack.data() + fiber.stack.size() - kBelowFrame;
}

void Machine::start() {
    fibers_ = std::vector<Fiber>(bodies_.size());
    for (Fiber& fiber : fibers_) {
        prepare(fiber);
    }
    for (std::size_t t = 0; t < bodies_.size(); ++t) {
        if (roles_[t].heir_of < 0) {
            begin(static_cast<std::uint8_t>(t));
        }
    }
}

void Machine::perform(Access& access, const Here& here) {
    access.site = site_of(here, access.kind, access.order);
    if (weakened(access.site)) {
        if (access.kind == Kind::Fence || access.kind == Kind::LightFence ||
            access.kind == Kind::HeavyFence) {
            return;
        }
        access.order = std::memory_order_relaxed;
        access.fail_order = std::memory_order_relaxed;
    }
    states_[running_].access = access;
    stop_here();
    access = states_[running_].access;
}

void Machine::violate(const char* what) {
    violation = what;
    if (in_fiber_) {
        stop_here();  // for good
    }
}

void Machine::checkpoint(const void* bytes, std::size_t count) {
    const XXH128_hash_t h = XXH3_128bits(bytes, count);
    states_[running_].history = {h.low64, h.high64};
}

// -- moves ----------------------------------------------------------------------------------------

unsigned Machine::outcomes(std::uint8_t thread) const {
    const Access& a = states_[thread].access;
    switch (a.kind) {
        case Kind::Load: return memory.load_choices(thread, a.at);
        case Kind::Store: return memory.store_choices(thread, a.at);
        case Kind::Add:
        case Kind::Exchange:
        case Kind::Compare: return memory.load_choices(thread, a.at);
        case Kind::FutexWait: return memory.kernel_load_choices(thread, a.at);
        default: return 1;
    }
}

void Machine::choices(std::vector<Choice>& out) const {
    out.clear();
    for (std::uint8_t t = 0; t < bodies_.size(); ++t) {
        const ThreadState& state = states_[t];
        if (state.status == Status::Ready) {
            const unsigned count = outcomes(t);
            const bool modifies =
                state.access.kind == Kind::Add || state.access.kind == Kind::Exchange;
            for (unsigned i = 0; i < count; ++i) {
                const bool matches = state.access.kind == Kind::Compare &&
                                     memory.peek(t, state.access.at, i) == state.access.expected;
                if ((modifies || matches) && !memory.can_modify(t, state.access.at, i)) {
                    continue;  // another read-modify-write has read that value
                }
                out.push_back({Move::Step, t, static_cast<std::uint8_t>(i)});
            }
        }
        if (state.status == Status::Asleep && left_.spurious_left > 0) {
            out.push_back({Move::WakeSpuriously, t, 0});
        }
        const bool alive = state.status == Status::Ready || state.status == Status::Asleep;
        if (alive && roles_[t].mortal && left_.deaths_left > 0) {
            out.push_back({Move::Die, t, 0});
        }
    }
}

void Machine::die(std::uint8_t thread) {
    --left_.deaths_left;
    states_[thread].status = Status::Dead;
    for (std::uint8_t t = 0; t < bodies_.size(); ++t) {
        if (roles_[t].heir_of == thread && states_[t].status == Status::Absent) {
            memory.inherit(t, thread);
            begin(t);
        }
    }
}

void Machine::compare(std::uint8_t thread, Access& a, unsigned outcome) {
    if (memory.peek(thread, a.at, outcome) == a.expected) {
        a.result = memory.modify(thread, a.at, a.value, a.order, outcome);
        a.taken = 1;
    } else {
        a.result = memory.load(thread, a.at, a.fail_order, outcome);
    }
}

void Machine::futex_wait(std::uint8_t thread, Access& a, unsigned outcome) {
    memory.enter_kernel(thread);
    const std::uint64_t now = memory.load(thread, a.at, std::memory_order_relaxed, outcome);
    memory.leave_kernel(thread);
    a.result = now == a.value ? 0 : 1;
    if (now == a.value) {
        states_[thread].status = Status::Asleep;
    }
}

void Machine::futex_wake(std::uint8_t thread, const Access& a) {
    memory.enter_kernel(thread);
    memory.leave_kernel(thread);
    for (std::uint8_t t = 0; t < bodies_.size(); ++t) {
        if (states_[t].status == Status::Asleep && states_[t].access.at == a.at) {
            states_[t].status = Status::Ready;
            memory.enter_kernel(t);
            note(t);
            resume(t);
            running_ = thread;
            return;
        }
    }
}

void Machine::step(std::uint8_t thread, unsigned outcome) {
    Access& a = states_[thread].access;
    switch (a.kind) {
        case Kind::Load: a.result = memory.load(thread, a.at, a.order, outcome); break;
        case Kind::Store: memory.store(thread, a.at, a.value, a.order, outcome); break;
        case Kind::Add: {
            const std::uint64_t read = memory.peek(thread, a.at, outcome);
            a.result = memory.modify(thread, a.at, read + a.value, a.order, outcome);
            break;
        }
        case Kind::Exchange:
            a.result = memory.modify(thread, a.at, a.value, a.order, outcome);
            break;
        case Kind::Compare: compare(thread, a, outcome); break;
        case Kind::Fence: memory.fence(thread, a.order); break;
        case Kind::LightFence: memory.light_fence(thread); break;
        case Kind::HeavyFence: memory.heavy_fence_on(thread, a.at); break;
        case Kind::FutexWait: futex_wait(thread, a, outcome); break;
        case Kind::FutexWake: futex_wake(thread, a); break;
        case Kind::PlainRead:
            violation = memory.plain_read(thread, a.at) ? violation : "data race: torn read";
            break;
        case Kind::PlainWrite:
            violation = memory.plain_write(thread, a.at) ? violation : "data race: torn write";
            break;
        case Kind::Start:
        case Kind::Finish: break;
    }
    if (memory.overflow()) {
        violation = kTooLarge;
    }
}

void Machine::note(std::uint8_t thread) {
    ThreadState& s = states_[thread];
    const std::uint64_t event[] = {s.history[0], s.history[1],    s.access.site,
                                   s.access.at,  s.access.result, s.access.taken};
    const XXH128_hash_t h = XXH3_128bits(event, sizeof event);
    s.history = {h.low64, h.high64};
}

void Machine::apply(const Choice& choice) {
    last_ = choice;
    const std::uint8_t t = choice.thread;
    if (choice.move == Move::Die) {
        last_access_ = states_[t].access;
        die(t);
        return;
    }
    if (choice.move == Move::WakeSpuriously) {
        --left_.spurious_left;
        states_[t].status = Status::Ready;
        states_[t].access.result = 1;
    } else {
        step(t, choice.outcome);
    }
    last_access_ = states_[t].access;
    if (violation == nullptr && states_[t].status == Status::Ready) {
        note(t);
        resume(t);
    }
}

bool Machine::finished() const noexcept {
    for (const ThreadState& s : states_) {
        if (s.status == Status::Ready || s.status == Status::Asleep) {
            return false;
        }
    }
    return true;
}

// -- state ----------------------------------------------------------------------------------------

Digest Machine::digest() {
    digest_buffer_.clear();
    unsigned alive = 0;
    unsigned waiting = 0;
    for (std::size_t t = 0; t < bodies_.size(); ++t) {
        const Status status = states_[t].status;
        const bool runs = status == Status::Ready || status == Status::Asleep;
        alive |= (runs ? 1U : 0U) << t;
        waiting |= (status == Status::Absent ? 1U : 0U) << t;
        put(digest_buffer_, &status, sizeof status);
        if (runs) {
            put(digest_buffer_, &states_[t].history, sizeof states_[t].history);
        }
    }
    put(digest_buffer_, &left_, sizeof left_);
    put(digest_buffer_, region_.data(), region_used_);
    memory.digest(digest_buffer_, alive, waiting);
    const XXH128_hash_t h = XXH3_128bits(digest_buffer_.data(), digest_buffer_.size());
    return {h.low64, h.high64};
}

void Machine::save(std::vector<std::byte>& to) const {
    to.clear();
    put(to, &memory, sizeof memory);
    put(to, &states_, sizeof states_);
    put(to, &left_, sizeof left_);
    put(to, region_.data(), region_used_);
    for (const Fiber& fiber : fibers_) {
        put(to, &fiber.low, sizeof fiber.low);
        put(to, &fiber.context, sizeof fiber.context);
        const std::byte* top = fiber.stack.data() + fiber.stack.size();
        put(to, fiber.low, static_cast<std::size_t>(top - fiber.low));
    }
}

void Machine::restore(const std::vector<std::byte>& from) {
    const std::byte* at = from.data();
    take(at, &memory, sizeof memory);
    take(at, &states_, sizeof states_);
    take(at, &left_, sizeof left_);
    take(at, region_.data(), region_used_);
    for (Fiber& fiber : fibers_) {
        take(at, &fiber.low, sizeof fiber.low);
        take(at, &fiber.context, sizeof fiber.context);
        std::byte* top = fiber.stack.data() + fiber.stack.size();
        take(at, fiber.low, static_cast<std::size_t>(top - fiber.low));
    }
    ASSERT(at == from.data() + from.size());
}

std::string Machine::last_step() const {
    static constexpr const char* kNames[] = {
        "start",      "load",        "store",       "fetch_add",  "exchange",   "compare_exchange",
        "fence",      "light fence", "heavy fence", "futex wait", "futex wake", "read word",
        "write word", "finish"};
    const Access& a = last_access_;
    std::string text = roles_[last_.thread].name + ": ";
    if (last_.move == Move::Die) {
        text += "KILLED before ";
    } else if (last_.move == Move::WakeSpuriously) {
        text += "spurious wake from ";
    }
    text += kNames[static_cast<std::size_t>(a.kind)];
    const bool plain = a.kind == Kind::PlainRead || a.kind == Kind::PlainWrite;
    if (plain) {
        text += " " + std::to_string(a.at) + " = " + std::to_string(a.value);
    } else if (a.kind != Kind::Fence && a.kind != Kind::LightFence) {
        const std::string& name = location_names[a.at % kLocationsMax];
        text += " " + (name.empty() ? "@" + std::to_string(a.at) : name);
        text += std::string{" "} + text_of(a.order) + " value " + std::to_string(a.value) +
                " result " + std::to_string(a.result);
    }
    return text + " (line " + std::to_string(line_of(a.site)) + ")";
}

}  // namespace millrace::model
