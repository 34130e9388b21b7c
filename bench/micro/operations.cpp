#include "bench/micro/operations.h"

#include "core/crc32c.h"
#include "gateway/frame.h"
#include "gateway/signal_wire.h"
#include "ring/spsc_ring.h"
#include "shm/doorbell.h"
#include "shm/histogram.h"

#include <benchmark/benchmark.h>
#include <xxhash.h>

#include <array>
#include <cstring>
#include <memory>
#include <vector>

namespace millrace::bench {
namespace {

constexpr std::size_t kCapacity = 4096;

/// Both ends on one core: what the instructions cost when no line has to travel.
template <std::size_t kWords>
struct OneCoreRing {
    struct Payload {
        std::array<std::uint64_t, kWords> words;
    };
    RingControl<> control;
    alignas(64) RingSlot<Payload> slots[kCapacity];

    OneCoreRing() {
        control.capacity = kCapacity;
        control.slot_bytes = sizeof(RingSlot<Payload>);
        control.magic = kRingMagic;
    }
    RingProducer<Payload> producer() {
        return RingProducer<Payload>::attach({&control, slots}).value();
    }
    RingConsumer<Payload> consumer() {
        return RingConsumer<Payload>::attach({&control, slots}).value();
    }
};
using Ring = OneCoreRing<7>;

void claim_commit(benchmark::State& state) {
    auto ring = std::make_unique<Ring>();
    auto out = ring->producer();
    for (auto _ : state) {
        Ring::Payload* slot = out.claim();
        slot->words[0] = out.written();
        out.commit();
        // The room comes from nowhere: no consumer is part of this one.
        ring->control.read_cursor.store(out.written(), std::memory_order_relaxed);
    }
}

void publish_take(benchmark::State& state) {
    auto ring = std::make_unique<Ring>();
    auto out = ring->producer();
    auto in = ring->consumer();
    Ring::Payload record{};
    for (auto _ : state) {
        record.words[0] = out.written();
        benchmark::DoNotOptimize(out.try_publish(record).ok());
        benchmark::DoNotOptimize(in.take());
    }
}

void peek_empty(benchmark::State& state) {
    auto ring = std::make_unique<Ring>();
    const auto in = ring->consumer();
    for (auto _ : state) {
        benchmark::DoNotOptimize(in.peek());
    }
}

/// What a stage pays before it sleeps: the fence that its producers do not have. The interrupts of
/// registered threads that run on other cores are in bench_ring's last group.
void arm_doorbell(benchmark::State& state) {
    if (!doorbell_setup()) {
        state.SkipWithError("the kernel refuses membarrier");
        return;
    }
    Doorbell bell{};
    for (auto _ : state) {
        detail::arm(bell);
    }
}

void ring_doorbell(benchmark::State& state) {
    Doorbell bell{};
    if (!doorbell_setup()) {
        state.SkipWithError("the kernel refuses membarrier");
        return;
    }
    for (auto _ : state) {
        ring(bell);
        benchmark::ClobberMemory();
    }
}

void histogram_record(benchmark::State& state) {
    auto histogram = std::make_unique<Histogram>();
    std::int64_t ns = 1;
    for (auto _ : state) {
        histogram->record(ns);
        ns = (ns * 5 + 1) & 0xFFFFF;  // 0 to a millisecond, over all buckets there
    }
    benchmark::DoNotOptimize(histogram->total.load(std::memory_order_relaxed));
}

void crc32c_bytes(benchmark::State& state) {
    const std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)), std::byte{0x5A});
    std::uint32_t crc = kCrc32cInit;
    for (auto _ : state) {
        crc = crc32c_more(crc, bytes);
    }
    benchmark::DoNotOptimize(crc);
}

void xxh3_bytes(benchmark::State& state) {
    std::vector<unsigned char> bytes(static_cast<std::size_t>(state.range(0)), 0x5A);
    std::uint64_t chain = 0;
    for (auto _ : state) {
        chain = XXH3_64bits_withSeed(bytes.data(), bytes.size(), chain);
    }
    benchmark::DoNotOptimize(chain);
}

using Wire = std::array<std::byte, wire::kFrameBytes<signal_wire::Submit>>;

std::size_t encode_signal(Wire& out, std::uint64_t seq) {
    return wire::encode(out, signal_wire::FrameType::Submit, signal_wire::kVersion, seq,
                        signal_wire::Submit{});
}

void frame_encode(benchmark::State& state) {
    Wire bytes;
    std::uint64_t seq = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(encode_signal(bytes, ++seq));
        benchmark::ClobberMemory();
    }
}

void frame_decode(benchmark::State& state) {
    Wire bytes;
    encode_signal(bytes, 1);
    std::vector<std::byte> buffer(2 * wire::kFrameBytesMax);
    wire::FrameDecoder decoder{buffer, signal_wire::kVersion};
    for (auto _ : state) {
        std::memcpy(decoder.space().data(), bytes.data(), bytes.size());
        decoder.filled(bytes.size());
        const auto frame = decoder.next();
        if (!frame || frame.value() == nullptr) {
            state.SkipWithError("a good frame was refused");
            break;
        }
        benchmark::DoNotOptimize(frame.value()->as<signal_wire::Submit>().ok());
        benchmark::DoNotOptimize(decoder.next().ok());  // takes it out of the buffer
    }
}

}  // namespace

void register_operations() {
    const auto add = [](const char* name, void (*run)(benchmark::State&)) {
        return benchmark::RegisterBenchmark(name, run);
    };
    add("ring: claim, one word, commit", claim_commit);
    add("ring: try_publish and take, 64 B", publish_take);
    add("ring: peek into an empty one", peek_empty);
    add("doorbell: ring one that nobody armed", ring_doorbell);
    add("doorbell: arm (membarrier)", arm_doorbell);
    add("histogram: record", histogram_record);
    for (const std::int64_t bytes : {64, 256, 4096}) {
        const std::string size = std::to_string(bytes) + " B";
        add(("CRC32C (isa-l), " + size).c_str(), crc32c_bytes)->Arg(bytes);
        add(("XXH3, chained, " + size).c_str(), xxh3_bytes)->Arg(bytes);
    }
    add("frame of a signal: encode", frame_encode);
    add("frame of a signal: decode and check", frame_decode);
}

}  // namespace millrace::bench
