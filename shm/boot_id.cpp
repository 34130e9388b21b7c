#include "shm/boot_id.h"

#include <fstream>

namespace millrace {

std::string read_boot_id() {
    std::ifstream in{"/proc/sys/kernel/random/boot_id"};
    std::string id;
    std::getline(in, id);
    return id;
}

}  // namespace millrace
