#include "tools/inspect/watched.h"

#include <sys/stat.h>

#include "tools/inspect/locate.h"

namespace millrace::inspect {

bool Watched::refresh() {
    struct stat st{};
    if (::stat(path_.c_str(), &st) != 0) {
        message = path_ + " is gone";
        return false;
    }
    if (segment_ && st.st_ino == inode_ && st.st_dev == device_) {
        return true;
    }
    auto fresh = Segment::attach(path_, Segment::Mode::ReadOnly, message);
    if (!fresh) {
        return false;
    }
    segment_ = std::move(fresh).value();
    inode_ = st.st_ino;
    device_ = st.st_dev;
    names = account_names(segment_->header().journal_dir);
    return true;
}

bool Watched::replaced() const {
    struct stat st{};
    // The mapping keeps the old inode: its number is not given to another file meanwhile.
    return !segment_ || ::stat(path_.c_str(), &st) != 0 || st.st_ino != inode_ ||
           st.st_dev != device_;
}

}  // namespace millrace::inspect
