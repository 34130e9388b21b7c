#include "tools/millrace/admin_client.h"

#include "shm/doorbell.h"
#include "tools/millrace/actor.h"

namespace millrace {
namespace {

constexpr std::int64_t kDurableWaitNs = 2'000'000'000;

Error fail(std::string& message, std::string text, Errc code) {
    message = std::move(text);
    return {code, 0, "admin"};
}

std::string engine_now(const Segment& segment) {
    const StageEntry& e = segment.stage(StageId::Engine);
    const auto pid = e.pid.load(std::memory_order_relaxed);
    const bool alive = pid != 0 && process_start_time(static_cast<int>(pid)) ==
                                       e.start_time.load(std::memory_order_relaxed);
    return alive ? "the engine (pid " + std::to_string(pid) + ") is alive but has not come to it"
                 : "the engine is not running";
}

}  // namespace

Result<AdminClient> AdminClient::open(const Segment& segment, std::string& message, bool look_up) {
    AdminClient client{segment};
    client.actor_ = this_actor(look_up);  // before the role, which others want meanwhile
    auto role = take_admin_role(segment, AdminRing::Engine, message);
    if (!role) {
        return role.error();
    }
    client.role_ = std::move(role).value();
    auto engine = RingProducer<AdminSlot>::attach(segment.ring<AdminSlot>("admin"));
    if (!engine) {
        return fail(message, std::string{"ring admin: "} + engine.error().what, engine.code());
    }
    client.engine_ = std::move(engine).value();
    return client;
}

Status AdminClient::send(const AdminRecord& record, const Options& options, std::string& message) {
    const std::int64_t begin = monotonic_ns();
    answer_ = AdminAnswer::Ok;
    detail_ = {};
    AdminSlot slot{};
    slot.value = record;
    set_actor(slot.value, actor_);
    auto number = engine_.try_publish(slot);
    while (!number && monotonic_ns() - begin < options.timeout.value) {
        admin_nap(begin);
        number = engine_.try_publish(slot);
    }
    if (!number) {
        return fail(message,
                    "ring admin is full: " + engine_now(*segment_) +
                        "; nothing was sent, see `millrace inspect stat`",
                    Errc::RingFull);
    }
    engine_.publish_stats(segment_->clock().now().value);
    ring(segment_->doorbell(StageId::Engine));
    return wait_applied(number.value(), options, message);
}

Status AdminClient::wait_applied(std::uint64_t number, const Options& options,
                                 std::string& message) {
    const CoreCells& core = segment_->core();
    const std::int64_t begin = monotonic_ns();
    // Acquire: pairs with the engine's release; the status belongs to a number not before ours.
    while (core.admin_applied.load(std::memory_order_acquire) < number) {
        // Relaxed: a request to give up orders nothing.
        const bool give_up =
            options.give_up != nullptr && options.give_up->load(std::memory_order_relaxed);
        if (give_up || monotonic_ns() - begin > options.timeout.value) {
            return fail(message,
                        "no answer: " + engine_now(*segment_) +
                            "; the command waits in its ring and will be applied, do not "
                            "send it again",
                        Errc::Timeout);
        }
        admin_nap(begin);
    }
    // Relaxed: the engine stored it before it released the number that we have seen.
    applied_at_ = Sequence{core.completed.load(std::memory_order_relaxed)};
    const std::uint64_t status = core.admin_last_status.load(std::memory_order_relaxed);
    const std::uint64_t detail = core.admin_last_detail.load(std::memory_order_relaxed);
    if (status >> 8 == number) {
        answer_ = static_cast<AdminAnswer>(status & 0xFFU);
        detail_ = {static_cast<std::uint32_t>(detail >> 32), static_cast<std::uint32_t>(detail)};
    }
    if (answer_ != AdminAnswer::Ok) {
        return fail(message, "the engine refused it: " + std::string{to_string(answer_)},
                    Errc::BadInput);
    }
    return ok_status();
}

std::string not_durable(const Segment& segment, Sequence seq) {
    const CoreCells& core = segment.core();
    const std::int64_t begin = monotonic_ns();
    // Acquire: pairs with the journal stage's release; the files hold what lies below.
    while (core.durable.load(std::memory_order_acquire) < seq.value) {
        if (monotonic_ns() - begin <= kDurableWaitNs) {
            admin_nap(begin);
            continue;
        }
        // Relaxed: for people.
        const auto state =
            static_cast<JournalState>(core.journal_state.load(std::memory_order_relaxed));
        return std::string{state == JournalState::Down       ? "the journal is down"
                           : state == JournalState::Full     ? "the journal's disk is full"
                           : state == JournalState::Poisoned ? "the journal had a write error"
                                                             : "the journal's disk is slow"} +
               "; it holds as long as the shared memory lives, a power cut now would undo it. See "
               "`millrace inspect stat`";
    }
    return {};
}

bool send_config(const Segment& segment, const ConfigRecords& config,
                 const std::atomic<bool>* give_up, std::string& message) {
    auto client = AdminClient::open(segment, message);
    if (!client) {
        return false;
    }
    AdminClient::Options options;
    options.give_up = give_up;
    std::string removed;
    for (const AdminRecord& record : config.records) {
        if (client.value().send(record, options, message)) {
            continue;
        }
        const AdminAnswer answer = client.value().answer();
        message.insert(0, describe(record) + ": ");
        if (answer != AdminAnswer::AccountRemoved && answer != AdminAnswer::GroupRemoved) {
            return false;
        }
        // The removal was cut short after the engine had done its part: the trading goes on.
        removed += message + "; `millrace account remove` or `group remove` of it again ends it. ";
    }
    message = removed;
    return true;
}

}  // namespace millrace
