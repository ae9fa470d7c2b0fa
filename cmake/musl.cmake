# For musl, on the processor of this machine: cmake --toolchain cmake/musl.cmake
#
# SKUA_PREFIX: where a cmocka for musl is, as tools/portable/cmocka leaves it.
set(CMAKE_C_COMPILER musl-gcc)
set(SKUA_PLATFORM musl) # see tests/lacking.txt
set(SKUA_PREFIX "" CACHE PATH "Libraries for musl")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES SKUA_PREFIX)

# musl-gcc sees musl's headers only, and a kernel header is not among them: the kernel's own are
# linked to, in a folder that has nothing of glibc, and asked last.
set(skua_kernel ${CMAKE_BINARY_DIR}/kernel)
execute_process(COMMAND gcc -print-multiarch OUTPUT_VARIABLE skua_multiarch
                OUTPUT_STRIP_TRAILING_WHITESPACE)
file(MAKE_DIRECTORY ${skua_kernel})
file(CREATE_LINK /usr/include/linux ${skua_kernel}/linux SYMBOLIC)
file(CREATE_LINK /usr/include/asm-generic ${skua_kernel}/asm-generic SYMBOLIC)
file(CREATE_LINK /usr/include/${skua_multiarch}/asm ${skua_kernel}/asm SYMBOLIC)
set(CMAKE_C_FLAGS_INIT "-idirafter ${skua_kernel}")

# The machine's own libraries are for glibc.
set(ENV{PKG_CONFIG_LIBDIR} "${SKUA_PREFIX}/lib/pkgconfig")
