// EngineOutputs: where the live engine's outputs go: the orders ring, the sources' result rings,
// the name tables. Drops what is there already after a restart.
#pragma once

#include "core/engine.h"
#include "persist/ring_room.h"
#include "ring/spsc_ring.h"
#include "shm/segment.h"

#include <string>
#include <vector>

namespace millrace {

/// True if ring `index` is a source's own and its numbers are damaged, which is then reported by
/// name as an alert. That source is disabled: what it wrote is believed by nobody, the rest trades
/// on. The ring is left as it is. Threads: any; for startup and take-over.
[[nodiscard]] bool is_cut_off(const Segment& segment, std::uint32_t index);

class EngineOutputs final : public OutputPort {
public:
    /// Takes the producing end of `orders` and of every results ring. A source's own results ring
    /// that is damaged is left alone (is_cut_off()): nothing is published there.
    [[nodiscard]] Status attach(Segment& segment, std::string& message);

    /// True if results ring number `i` is damaged: its source is disabled in this segment.
    [[nodiscard]] bool is_cut_off(std::uint32_t i) const noexcept { return results_[i].cut_off; }

    /// What happens with outputs from now on.
    enum class Mode {
        Drop,        // replay up to `completed`: they were published by the engine before us
        PublishNew,  // replay beyond it: published unless the ring's own last (seq, k) shows them
        Publish,     // live
    };
    void set_mode(Mode mode) noexcept { mode_ = mode; }
    void set_engine(const Engine* engine) noexcept { engine_ = engine; }

    void order(const OrderCommand& command) noexcept override;
    void result(const SignalResult& result) noexcept override;
    void definition(const DefinitionRow& row) noexcept override;

    /// Free slots of `orders`, at most `enough`. Counts nothing.
    [[nodiscard]] std::uint64_t orders_free(std::uint64_t enough) noexcept {
        return orders_room_.free(orders_.written(), enough);
    }
    /// The same for an input that waits: counted as a refused publish if there is none.
    [[nodiscard]] bool orders_free_now(std::uint64_t needed) noexcept {
        return orders_.claim_batch(needed) >= needed;
    }
    /// True if results ring number `i` (as result_ring_of() numbers them) has `slots` free ones.
    [[nodiscard]] bool results_free(std::uint32_t i, std::uint64_t slots) noexcept {
        return results_[i].ring.claim_batch(slots) >= slots;
    }
    /// Free slots of results ring `i`, at most `enough`. Counts nothing. A ring that is cut off
    /// takes everything: nothing is published there.
    [[nodiscard]] std::uint64_t results_room(std::uint32_t i, std::uint64_t enough) noexcept {
        Results& r = results_[i];
        return r.cut_off ? enough : r.room.free(r.ring.written(), enough);
    }
    /// Slots that results ring `i` can ever give at once.
    [[nodiscard]] std::uint64_t results_most(std::uint32_t i) const noexcept {
        return results_[i].slots - 1;
    }
    /// Ring that `source`'s results go to: its own, else ingress's (number 0).
    [[nodiscard]] std::uint32_t result_ring_of(SourceId source) const noexcept;
    /// Slots promised to the sources that share ring `i`.
    [[nodiscard]] std::uint64_t reserved(const Engine& engine, std::uint32_t i) const noexcept;

    /// Rings the doorbells of whoever got something since the last call.
    void wake() noexcept;
    void publish_stats(Nanos now) noexcept;
    /// Brings the next slots near, to be written: between inputs there is time for it.
    void prefetch_next() noexcept {
        prefetch_slot(orders_room_.next(orders_.written()));
        prefetch_slot(results_[0].room.next(results_[0].ring.written()));
    }
    /// All lines of a slot but the first: that one its consumer is looking at.
    template <class Payload>
    static void prefetch_slot(const Payload* slot) noexcept {
        const auto* bytes = reinterpret_cast<const char*>(slot);
        for (std::size_t at = 56; slot != nullptr && at < sizeof(Payload); at += 64) {
            __builtin_prefetch(bytes + at, 1);
        }
    }

private:
    struct Results {
        RingProducer<ResultSlot> ring;
        RingRoom<ResultSlot> room;
        SourceId owner{kNoId};
        std::uint64_t slots = 0;
        std::uint32_t doorbell = 0;
        bool rung = true;      // nothing new since the doorbell was last rung
        bool cut_off = false;  // damaged: `ring` is attached to nothing
    };

    Segment* segment_ = nullptr;
    const Engine* engine_ = nullptr;
    Mode mode_ = Mode::Drop;
    RingProducer<OrderSlot> orders_;
    RingRoom<OrderSlot> orders_room_;
    bool orders_rung_ = true;
    std::vector<Results> results_;
    std::uint32_t ring_of_source_[kSourcesMax] = {};
};

}  // namespace millrace
