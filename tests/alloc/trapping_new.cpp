#include "tests/alloc/trapping_new.h"

#include <cstdio>
#include <cstdlib>
#include <new>

namespace millrace::test {

thread_local bool trap_allocations = false;
thread_local std::size_t allocations = 0;

namespace {

void* allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t)) {
    ++allocations;
    if (trap_allocations) {
        trap_allocations = false;  // printing may allocate
        std::fprintf(stderr, "allocation of %zu bytes on the hot path\n", bytes);
        std::abort();
    }
    void* memory = nullptr;
    if (alignment <= alignof(std::max_align_t)) {
        memory = std::malloc(bytes);
    } else if (::posix_memalign(&memory, alignment, bytes) != 0) {
        memory = nullptr;
    }
    if (memory == nullptr) {
        std::abort();
    }
    return memory;
}

}  // namespace
}  // namespace millrace::test

void* operator new(std::size_t bytes) {
    return millrace::test::allocate(bytes);
}
void* operator new[](std::size_t bytes) {
    return millrace::test::allocate(bytes);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return millrace::test::allocate(bytes, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
    return millrace::test::allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete[](void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    std::free(memory);
}
