#include "tools/explain/watched.h"

#include <sys/stat.h>

#include "tools/explain/halt.h"

namespace millrace::explain {

std::optional<Watched::File> Watched::file_of(const Segment& segment) {
    struct stat s{};
    return ::stat(segment.path().c_str(), &s) == 0 ? std::optional{File{s.st_dev, s.st_ino}}
                                                   : std::nullopt;
}

bool Watched::find(std::string& message) {
    auto where = find_where(options_, message);
    if (!where) {
        return false;
    }
    notice_.clear();
    if (where->segment == nullptr) {
        where->through = last_survived(*where, notice_);
    }
    // The state goes before the logs' place that it points to.
    now_.reset();
    where_ = std::make_unique<Where>(std::move(*where));
    file_ = where_->segment == nullptr ? std::nullopt : file_of(*where_->segment);
    std::string why;
    now_ = OpenNow::open(*where_, why);
    if (now_ == nullptr) {
        notice_ = why + "; asking the store";
    }
    return true;
}

/// Is there another segment than the one, or none, that was found?
bool Watched::is_another() const {
    if (where_->segment != nullptr) {
        return file_of(*where_->segment) != file_;
    }
    return segment_of(where_->dir) != nullptr;
}

bool Watched::advance(std::string& message) {
    if (is_another()) {
        std::string gone;  // it is stopped and nothing says where its logs are: it may come back
        if (find(gone)) {
            return true;
        }
    }
    if (now_ == nullptr) {  // the logs of a pipeline that has just begun may give a state later
        std::string ignored;
        now_ = OpenNow::open(*where_, ignored);
        return true;
    }
    return now_->advance(message);
}

}  // namespace millrace::explain
