#include "tests/attach_fuzz/traffic.h"

#include <sched.h>
#include <sys/mman.h>

#include <cstring>
#include <new>
#include <stdexcept>

#include "shm/doorbell.h"

namespace millrace::test {

struct Traffic::Shared {
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> published{0};
    std::atomic<std::uint64_t> checked{0};
    std::atomic<std::uint64_t> wrong_at{0};  // number of the first bad record
    // Number of the first for which clock, cells, uuid or journal directory lied.
    std::atomic<std::uint64_t> lost_at{0};
    std::atomic<std::uint64_t> attached{0};
    char refused[400] = {};  // why attaching failed; read when its process has ended
};

namespace {

/// Every byte of record `n` follows from `n`.
void paint(OrderSlot& record, std::uint64_t n) {
    std::memset(static_cast<void*>(&record), static_cast<int>(n * 167 % 251), sizeof record);
    std::memcpy(static_cast<void*>(&record), &n, sizeof n);
}

bool is_painted(const OrderSlot& record, std::uint64_t n) {
    OrderSlot want;
    paint(want, n);
    return std::memcmp(static_cast<const void*>(&record), static_cast<const void*>(&want),
                       sizeof want) == 0;
}

}  // namespace

SegmentPlan small_plan(const std::string& path, const std::string& journal_dir) {
    SegmentPlan plan;
    plan.path = path;
    plan.journal_dir = journal_dir;
    plan.sessions = 3;
    plan.session_slots = 4;
    plan.journal_slots = 16;
    plan.orders_slots = plan.reports_slots = plan.signals_slots = 8;
    plan.results_slots = plan.admin_slots = plan.holdings_slots = 8;
    plan.strategies = {{"alpha", SourceId{3}}, {"beta", SourceId{4}}};
    plan.memory.lock = MemoryWish::Off;
    return plan;
}

Traffic::Traffic(const std::string& path, const std::string& journal_dir, Attacher attacher) {
    std::string message;
    SegmentPlan plan = small_plan(path, journal_dir);
    plan.orders_slots = 256;
    auto made = Segment::create(plan, message);
    if (!made) {
        throw std::runtime_error{message};
    }
    segment_ = std::move(made).value();
    void* memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    shared_ = new (memory) Shared;
    children_.push_back(run_child([this] {
        auto out = RingProducer<OrderSlot>::attach(segment_.ring<OrderSlot>("orders"));
        OrderSlot record;
        for (std::uint64_t n = 1; !shared_->stop.load(std::memory_order_relaxed); ++n) {
            paint(record, n);
            segment_.core().journal_seq.store(n, std::memory_order_relaxed);
            while (!out.value().try_publish(record)) {
                ::sched_yield();
            }
            // As the supervisor does after a death.
            for (std::uint32_t bell = 0; bell < segment_.header().doorbell_count; ++bell) {
                ring(segment_.doorbell(bell));
            }
            // Release: pairs with the consumer's acquire after it has seen `stop`.
            shared_->published.store(n, std::memory_order_release);
        }
        return 0;
    }));
    children_.push_back(run_child([this, journal_dir] {
        auto in = RingConsumer<OrderSlot>::attach(segment_.ring<OrderSlot>("orders"));
        const std::uint64_t epoch = segment_.uuid_low();
        std::uint64_t n = 0;
        Nanos last = segment_.clock().now();
        while (!shared_->stop.load(std::memory_order_relaxed) ||
               n < shared_->published.load(std::memory_order_acquire)) {
            const std::size_t got = in.value().poll(64, [&](const OrderSlot& record) {
                ++n;
                if (!is_painted(record, n) && shared_->wrong_at.load() == 0) {
                    shared_->wrong_at.store(n);
                }
                const Nanos now = segment_.clock().now();
                const bool right = now >= last && now < last + seconds(3600) &&
                                   segment_.core().journal_seq.load() >= n &&
                                   segment_.uuid_low() == epoch &&
                                   segment_.header().journal_dir == journal_dir;
                if (!right && shared_->lost_at.load() == 0) {
                    shared_->lost_at.store(n);
                }
                last = now;
            });
            shared_->checked.store(n, std::memory_order_relaxed);
            if (got == 0) {
                ::sched_yield();
            }
        }
        return 0;
    }));
    if (attacher == Attacher::Busy) {
        children_.push_back(run_child([this, path] { return attach_again_and_again(path); }));
    }
    while (checked() == 0 || (attacher == Attacher::Busy && attached() == 0)) {
        ::sched_yield();
    }
}

int Traffic::attach_again_and_again(const std::string& path) {
    constexpr std::uint64_t kRecordsBetween = 500;  // or it would take the records' core
    std::string message;
    for (std::uint64_t n = 0; !shared_->stop.load(std::memory_order_relaxed); ++n) {
        const auto mode = n % 2 == 0 ? Segment::Mode::ReadWrite : Segment::Mode::ReadOnly;
        if (!Segment::attach(path, mode, message)) {
            message.copy(shared_->refused, sizeof shared_->refused - 1);
            return 1;
        }
        shared_->attached.store(n + 1, std::memory_order_relaxed);
        const std::uint64_t next = checked() + kRecordsBetween;
        while (checked() < next && !shared_->stop.load(std::memory_order_relaxed)) {
            ::sched_yield();
        }
    }
    return 0;
}

Traffic::~Traffic() {
    for (const pid_t child : children_) {
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
    }
    ::munmap(shared_, sizeof(Shared));
}

std::uint64_t Traffic::checked() const {
    return shared_->checked.load(std::memory_order_relaxed);
}

bool Traffic::flows_on(std::uint64_t records) const {
    // What is in the ring, and the batch that the consumer has in hand, was sent before.
    const std::uint64_t until = shared_->published.load(std::memory_order_acquire) + 1 + records;
    while (checked() < until) {
        for (const pid_t child : children_) {
            siginfo_t ended{};
            if (::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOHANG | WNOWAIT) !=
                    0 ||
                ended.si_pid != 0) {
                return false;
            }
        }
        ::sched_yield();
    }
    return true;
}

std::uint64_t Traffic::attached() const {
    return shared_->attached.load(std::memory_order_relaxed);
}

std::string Traffic::stop() {
    shared_->stop.store(true);
    std::string wrong;
    for (const pid_t child : children_) {
        int status = 0;
        ::waitpid(child, &status, 0);
        if (status != 0) {
            wrong += "a process ended with wait status " + std::to_string(status) + "; ";
        }
    }
    children_.clear();
    if (shared_->refused[0] != '\0') {
        wrong += std::string{"the live segment was refused: "} + shared_->refused + "; ";
    }
    if (const auto at = shared_->wrong_at.load(); at != 0) {
        wrong += "record " + std::to_string(at) + " was lost, doubled or torn; ";
    }
    if (const auto at = shared_->lost_at.load(); at != 0) {
        wrong +=
            "clock, cells, uuid or directory were wrong at record " + std::to_string(at) + "; ";
    }
    const auto& ring = segment_.ring_control(segment_.find_ring("orders"));
    if (shared_->checked.load() != ring.read_cursor.load()) {
        wrong += "read cursor " + std::to_string(ring.read_cursor.load()) + " after " +
                 std::to_string(shared_->checked.load()) + " records; ";
    }
    return wrong;
}

}  // namespace millrace::test
