// EngineOutputs: where the live engine's outputs go: the orders ring, the sources' result rings,
// the name tables. Drops what is there already after a restart.
#pragma once

#include "core/engine.h"
#include "ring/spsc_ring.h"
#include "shm/segment.h"

#include <string>
#include <vector>

namespace millrace {

class EngineOutputs final : public OutputPort {
public:
    /// Takes the producing end of `orders` and of every results ring.
    [[nodiscard]] Status attach(Segment& segment, std::string& message);

    /// What happens with outputs from now on.
    enum class Mode {
        Drop,       // replay up to `completed`: they were published by the engine before us
        PublishNew, // replay beyond it: published unless the ring's own last (seq, k) shows them
        Publish,    // live
    };
    void set_mode(Mode mode) noexcept { mode_ = mode; }
    void set_engine(const Engine* engine) noexcept { engine_ = engine; }

    void order(const OrderCommand& command) noexcept override;
    void result(const SignalResult& result) noexcept override;
    void definition(const DefinitionRow& row) noexcept override;

    [[nodiscard]] std::uint64_t orders_free() noexcept { return orders_.free_slots(); }
    /// Free slots of results ring number `i` (as result_ring_of() numbers them).
    [[nodiscard]] std::uint64_t results_free(std::uint32_t i) noexcept {
        return results_[i].ring.free_slots();
    }
    /// Ring that `source`'s results go to: its own, else ingress's (number 0).
    [[nodiscard]] std::uint32_t result_ring_of(SourceId source) const noexcept;
    /// Slots promised to the sources that share ring `i`.
    [[nodiscard]] std::uint64_t reserved(const Engine& engine, std::uint32_t i) const noexcept;

    /// Rings the doorbells of whoever got something since the last call.
    void wake() noexcept;
    void publish_stats(Nanos now) noexcept;

private:
    struct Results {
        RingProducer<ResultSlot> ring;
        SourceId owner{kNoId};
        std::uint32_t doorbell = 0;
        bool rung = true;  // nothing new since the doorbell was last rung
    };

    Segment* segment_ = nullptr;
    const Engine* engine_ = nullptr;
    Mode mode_ = Mode::Drop;
    RingProducer<OrderSlot> orders_;
    bool orders_rung_ = true;
    std::vector<Results> results_;
    std::uint32_t ring_of_source_[kSourcesMax] = {};
};

}  // namespace millrace
