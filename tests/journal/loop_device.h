// A block device over a file, for tests that need a disk of their own. Needs root.
#pragma once

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdint>
#include <string>

namespace millrace::testing {

// A loop device over `image` that goes when its last user has gone.
class LoopDevice {
public:
    explicit LoopDevice(const std::string& image) {
        const int control = ::open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        const int file = ::open(image.c_str(), O_RDWR | O_CLOEXEC);
        // Somebody else may take the free one that we were told of.
        for (int tries = 0; tries < 16 && fd_ < 0 && control >= 0 && file >= 0; ++tries) {
            path_ = "/dev/loop" + std::to_string(::ioctl(control, LOOP_CTL_GET_FREE));
            const int fd = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
            loop_config config{};
            config.fd = static_cast<std::uint32_t>(file);
            config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
            if (fd >= 0 && ::ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
                fd_ = fd;
            } else if (fd >= 0) {
                ::close(fd);
            }
        }
        ::close(control);
        ::close(file);
    }
    ~LoopDevice() { ::close(fd_); }
    LoopDevice(const LoopDevice&) = delete;
    LoopDevice& operator=(const LoopDevice&) = delete;
    [[nodiscard]] bool ready() const { return fd_ >= 0; }
    [[nodiscard]] const std::string& path() const { return path_; }
    // Behind `bytes` every access fails with EIO; 0 = the whole image. What is there stays there.
    [[nodiscard]] bool limit(std::uint64_t bytes) const {
        loop_info64 info{};
        if (::ioctl(fd_, LOOP_GET_STATUS64, &info) != 0) {
            return false;
        }
        info.lo_sizelimit = bytes;
        return ::ioctl(fd_, LOOP_SET_STATUS64, &info) == 0;
    }

private:
    std::string path_;
    int fd_ = -1;
};

}  // namespace millrace::testing
