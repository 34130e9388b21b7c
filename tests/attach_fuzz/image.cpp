#include "tests/attach_fuzz/image.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "shm/source_ring.h"

namespace millrace::test {
namespace {

/// Lets `published` records through a ring, of which `read` are released.
template <class T>
void run_ring(const Segment& segment, std::string_view name, std::uint64_t published,
              std::uint64_t read) {
    auto out = RingProducer<T>::attach(segment.ring<T>(name));
    auto in = RingConsumer<T>::attach(segment.ring<T>(name));
    for (std::uint64_t n = 1; n <= published; ++n) {
        if (!out.value().try_publish(T{})) {
            throw std::logic_error{"ring is full"};
        }
        if (n <= read) {
            (void)in.value().poll(1, [](const T&) {});
        }
    }
}

}  // namespace

Image::Image() : path_{dir_.file("image")} {
    std::string message;
    auto made = Segment::create(small_plan(path_, dir_.str()), message);
    if (!made) {
        throw std::runtime_error{message};
    }
    run_ring<OrderSlot>(made.value(), "orders", 29, 23);          // some waiting, third lap
    run_ring<ReportSlot>(made.value(), "reports", 8, 0);          // full, first lap
    run_ring<SignalSlot>(made.value(), "signals.alpha", 24, 16);  // full, third lap
    run_ring<SignalSlot>(made.value(), "signals.beta", 5, 5);     // empty, first lap
    run_ring<ResultSlot>(made.value(), "results.alpha", 16, 16);  // empty, at a lap's end
    run_ring<JournalRecord>(made.value(), "journal", 3, 1);       // most slots never written
    const int fd = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    const auto size = static_cast<std::size_t>(std::filesystem::file_size(path_));
    bytes_ =
        static_cast<std::byte*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    ::close(fd);
    good_.assign(bytes_, bytes_ + size);
}

Image::~Image() {
    ::munmap(bytes_, good_.size());
}

const SegmentHeader& Image::header() const {
    return *reinterpret_cast<const SegmentHeader*>(good_.data());
}

const RingEntry& Image::entry(std::uint32_t ring) const {
    return reinterpret_cast<const RingEntry*>(good_.data() + header().rings_offset)[ring];
}

Attempt Image::attach(Segment::Mode mode) {
    const std::vector<std::byte> before{bytes_, bytes_ + good_.size()};
    Attempt result{Errc::Ok, ""};
    auto attached = Segment::attach(path_, mode, result.message);
    result.code = attached.code();
    const bool writes = attached.ok() && mode == Segment::Mode::ReadWrite;
    for (std::uint32_t i = 0; writes && i < attached.value().ring_count(); ++i) {
        const bool own =
            is_judged_by_its_user(attached.value().ring_entry(i)) && result.code == Errc::Ok;
        if (const Status s = own ? attached.value().check_ring(i, result.message) : ok_status();
            !s) {
            result.code = s.code();
        }
    }
    ++attempts;
    EXPECT_EQ(std::memcmp(bytes_, before.data(), before.size()), 0) << "attaching wrote";
    EXPECT_EQ(result.code == Errc::Ok, result.message.empty()) << result.message;
    return result;
}

void Image::heal() {
    std::memcpy(bytes_, good_.data(), good_.size());
}

std::uint64_t Image::cursor_at(std::uint32_t ring) const {
    return entry(ring).control_offset + offsetof(RingControl<>, read_cursor);
}

std::uint64_t Image::number_at(std::uint32_t ring, std::uint64_t slot) const {
    return entry(ring).slots_offset + slot * entry(ring).slot_bytes;
}

std::uint64_t Image::word(std::uint64_t offset) const {
    std::uint64_t value = 0;
    std::memcpy(&value, bytes_ + offset, sizeof value);
    return value;
}

void Image::put_word(std::uint64_t offset, std::uint64_t value) {
    std::memcpy(bytes_ + offset, &value, sizeof value);
}

bool Image::numbers_possible(std::uint32_t ring) const {
    const std::uint64_t capacity = entry(ring).capacity;
    const std::uint64_t read = word(cursor_at(ring));
    if (read + capacity < read) {
        return false;  // nobody will ever have read that many
    }
    std::uint64_t unread = 0;
    std::uint64_t last = read;
    for (std::uint64_t slot = 0; slot < capacity; ++slot) {
        // The newest number that may stand here now, and the one that it overwrote.
        std::uint64_t newest = read + capacity;
        while ((newest - 1) % capacity != slot) {
            --newest;
        }
        const std::uint64_t older = newest > capacity ? newest - capacity : 0;
        const std::uint64_t is = word(number_at(ring, slot));
        if (is != newest && is != older) {
            return false;
        }
        unread += is > read ? 1 : 0;
        last = std::max(last, is);
    }
    return unread == last - read;  // no number is left out
}

std::vector<Guarded> guarded_in(std::span<const std::byte> good) {
    std::vector<Guarded> all;
    const SegmentHeader& h = *reinterpret_cast<const SegmentHeader*>(good.data());
    const auto* entries = reinterpret_cast<const RingEntry*>(good.data() + h.rings_offset);
    for (const FieldPlace& f : kHeaderFields) {
        all.push_back({f.name, f.offset, f.bytes});
        all.push_back({f.name, kHeaderCopyOffset + f.offset, f.bytes});
    }
    for (std::uint32_t i = 0; i < 2 * h.ring_count; ++i) {
        for (const FieldPlace& f : kEntryFields) {
            all.push_back({f.name, h.rings_offset + i * sizeof(RingEntry) + f.offset, f.bytes});
        }
    }
    for (std::uint32_t i = 0; i < h.ring_count; ++i) {
        for (const FieldPlace& f : kControlFields) {
            all.push_back({f.name, entries[i].control_offset + f.offset, f.bytes});
        }
    }
    for (std::uint32_t i = 0; i < h.stage_count; ++i) {
        const std::string name = stage_name(static_cast<StageId>(i));
        all.push_back({"is not called " + name,
                       h.stages_offset + i * sizeof(StageEntry) + offsetof(StageEntry, name),
                       name.size() + 1});
    }
    for (std::uint32_t i = 0; i < h.session_count; ++i) {
        const std::uint64_t at = h.sessions_offset + i * sizeof(SessionEntry);
        all.push_back({"says account", at + offsetof(SessionEntry, account), 4});
        all.push_back({"queue_ring", at + offsetof(SessionEntry, queue_ring), 4});
    }
    return all;
}

}  // namespace millrace::test
