#include "tools/millrace/kill_client.h"

#include "shm/doorbell.h"

#include <atomic>

namespace millrace {

Result<KillClient> KillClient::open(const Segment& segment, std::string& message) {
    KillClient client{segment};
    auto role = take_admin_role(segment, AdminRing::Broker, message);
    if (!role) {
        return role.error();
    }
    client.role_ = std::move(role).value();
    auto producer = RingProducer<KillSlot>::attach(segment.ring<KillSlot>("admin.broker"));
    if (!producer) {
        message = std::string{"ring admin.broker: "} + producer.error().what;
        return producer.error();
    }
    client.ring_ = std::move(producer).value();
    return client;
}

Status KillClient::send(const KillCommand& command, std::string& message) {
    KillSlot slot{};
    slot.value = command;
    // Release: the number of the command before is in memory before any byte of this one. Pairs
    // with the acquire fence in KillBoard::restore(), which so knows slots that are being filled.
    std::atomic_thread_fence(std::memory_order_release);
    if (!ring_.try_publish(slot)) {
        message =
            "ring admin.broker is full: the broker stage is not taking commands; no terminal is "
            "being sent anything either. Stop trading at the broker";
        return {Errc::RingFull, "kill"};
    }
    ring_.publish_stats(segment_->clock().now().value);
    ring(segment_->doorbell(StageId::Broker));
    return ok_status();
}

std::uint64_t KillClient::last_kill() const noexcept {
    const KillSlot* newest = ring_.last();
    return newest == nullptr ? 0 : newest->value.kill_id;
}

}  // namespace millrace
