// The recorded life of a journal's disk, moment by moment: what it holds for certain, and which
// writes are on their way, of which it may hold any part.
#pragma once

#include "journal_fakes.h"

namespace millrace::testing {

/// What all the disks of a journal were asked, in order. A stage that starts again has another disk
/// over the same files: tell by next_disk().
class DiskTape {
public:
    std::vector<DiskEvent> events;

    void next_disk() noexcept { told_ = 0; }
    /// Appends what `disk` was asked since the last call.
    void record(const FaultDisk& disk) {
        const std::size_t base = events.size() - told_;
        for (; told_ < disk.events.size(); ++told_) {
            events.push_back(disk.events[told_]);
            if (events.back().kind == DiskEvent::Kind::Complete) {
                events.back().submit += base;  // numbered by its own disk
            }
        }
    }

private:
    std::size_t told_ = 0;
};

/// The disk up to some event: what is certain, and the writes that are not.
struct DiskMoment {
    MemoryLog certain;
    std::vector<std::size_t> outstanding;  // indices of Submit events

    void advance(const std::vector<DiskEvent>& events, std::size_t i) {
        const DiskEvent& e = events[i];
        if (e.kind == DiskEvent::Kind::Prepare) {
            certain.files[e.file] = e.bytes;
        } else if (e.kind == DiskEvent::Kind::Submit) {
            outstanding.push_back(i);
        } else if (e.result > 0) {  // of one that failed the disk may hold any part, at any time
            keep(certain, events[e.submit], static_cast<std::size_t>(e.result));
            std::erase(outstanding, e.submit);
        }
    }
    /// Puts the first `bytes` of a write into `image`, by default all of it.
    static void keep(MemoryLog& image, const DiskEvent& write, std::size_t bytes = SIZE_MAX) {
        std::memcpy(image.files[write.file].data() + write.offset, write.bytes.data(),
                    std::min(bytes, write.bytes.size()));
    }
};

}  // namespace millrace::testing
